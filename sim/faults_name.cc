// What befalls the name by which stayd finds its Redis.
#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

// No answer, an error, or an answer without addresses.
bool Faults::lose_name() {
  using State = Names::State;
  Names& names = *world_.servers.names();
  if (!names.well()) return false;
  const auto how = random_->below(3);
  note(how == 0   ? "the name server is silent"
       : how == 1 ? "the name does not resolve"
                  : "the name has no address");
  names.become(how == 0 ? State::silent : how == 1 ? State::failing : State::empty);
  later(between(50 * kMs, 20 * kSecond), [this] {
    note("the name has answers again");
    world_.servers.names()->become(State::well);
  });
  return true;
}

// Two name servers, of which one has not heard of the last move.
bool Faults::split_name() {
  note("every other answer is of before");
  world_.servers.names()->alternate(true);
  later(between(kSecond, 20 * kSecond), [this] { world_.servers.names()->alternate(false); });
  return true;
}

bool Faults::dilute_name() {
  note("the name has an address where nobody is, too");
  world_.servers.names()->add_dead(true);
  later(between(kSecond, 20 * kSecond), [this] { world_.servers.names()->add_dead(false); });
  return true;
}

}  // namespace stayd::sim
