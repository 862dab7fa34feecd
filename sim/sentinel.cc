// One Sentinel: what it answers.
#include <utility>

#include "resp/command_table.h"
#include "resp/reply.h"
#include "sim/sentinels.h"

namespace stayd::sim {

namespace {

void write_pairs(std::string& out,
                 std::initializer_list<std::pair<std::string_view, std::string>> pairs) {
  write_map(out, pairs.size());
  for (const auto& [name, value] : pairs) {
    write_bulk(out, name);
    write_bulk(out, value);
  }
}

}  // namespace

void Sentinel::become(State next) {
  state = next;
  if (next == State::dead) end_connections();
  for (const auto& [number, peer] : std::map(peers_)) process(peer);
}

void Sentinel::tell_switch(const Endpoint& from) {
  if (state == State::frozen) return;
  std::string out;
  write_push(out, 3);
  write_bulk(out, "message");
  write_bulk(out, "+switch-master");
  write_bulk(out, std::string(Sentinels::kPrimaryName) + " " + from.host + " " +
                      std::to_string(from.port) + " " + view.primary.host + " " +
                      std::to_string(view.primary.port));
  for (const auto& [number, peer] : peers_) {
    if (peer->subscribed) peer->send(out);
  }
}

void Sentinel::describe(std::string& out) const {
  const Endpoint& address = leads_from ? *leads_from : view.primary;
  write_pairs(out, {{"name", std::string(Sentinels::kPrimaryName)},
                    {"ip", address.host},
                    {"port", std::to_string(address.port)},
                    {"flags", "master"},
                    {"config-epoch", std::to_string(view.epoch)},
                    {"num-other-sentinels", std::to_string(others.size())},
                    {"quorum", "2"}});
}

void Sentinel::command(Peer& peer, const Args& args, std::string& out) {
  const auto is = [&](std::size_t at, std::string_view word) {
    return at < args.size() && equals_ignore_case(args[at], word);
  };
  if (state == State::refusing) {
    write_error(out, "NOAUTH Authentication required.");
  } else if (is(0, "hello")) {
    write_pairs(out, {{"server", "redis"}, {"version", "7.0.15"}, {"mode", "sentinel"}});
  } else if (is(0, "subscribe")) {
    peer.subscribed = true;
    write_push(out, 3);
    write_bulk(out, "subscribe");
    write_bulk(out, args[1]);
    write_integer(out, 1);
  } else if (is(1, "myid")) {
    write_bulk(out, id);
  } else if (is(1, "get-master-addr-by-name")) {
    if (state == State::ignorant) return write_null(out);
    write_array(out, 2);
    write_bulk(out, view.primary.host);
    write_bulk(out, std::to_string(view.primary.port));
  } else if (state == State::ignorant) {
    write_error(out, "ERR No such master with that name");
  } else if (is(1, "master")) {
    describe(out);
  } else if (is(1, "sentinels")) {
    write_array(out, others.size());
    for (const auto& [other, address] : others) {
      write_pairs(out, {{"runid", other},
                        {"ip", address.host},
                        {"port", std::to_string(address.port)},
                        {"flags", "sentinel"}});
    }
  } else {
    write_error(out, unknown_command_error(args));
  }
}

}  // namespace stayd::sim
