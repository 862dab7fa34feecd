// What befalls the backup that the stayds of a fleet share.
#include "sim/faults.h"
#include "sim/world.h"

namespace stayd::sim {

bool Faults::lose_backup(bool MemoryDatabase::* how) {
  MemoryDatabase& backup = world_.backup;
  if (backup.*how) return false;
  note(how == &MemoryDatabase::down     ? "the backup is down"
       : how == &MemoryDatabase::frozen ? "the backup is frozen"
                                        : "the backup takes no writes");
  backup.*how = true;
  world_.users.begin_without_backup();
  later(between(50 * kMs, 20 * kSecond), [this, how] {
    note("the backup is well again");
    world_.backup.*how = false;
    world_.users.end_without_backup();
  });
  return true;
}

bool Faults::cut_from_backup() {
  Instance& one = victim();
  if (one.is_cut_from_backup()) return false;
  note(one.name() + "cannot reach the backup");
  one.cut_from_backup(true);
  world_.users.begin_without_backup();
  later(between(50 * kMs, 20 * kSecond), [this, &one] {
    note(one.name() + "reaches the backup again");
    one.cut_from_backup(false);
    world_.users.end_without_backup();
  });
  return true;
}

}  // namespace stayd::sim
