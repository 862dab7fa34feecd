// One Sentinel: what it answers.
#include <utility>

#include "base/error.h"
#include "resp/command_table.h"
#include "resp/reply.h"
#include "resp/request_parser.h"
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

std::shared_ptr<Peer> Sentinel::accept() {
  auto peer = std::make_shared<Peer>();
  peer->server = this;
  peer->id = next_client_id_++;
  peers_[peer->id] = peer;
  return peer;
}

void Sentinel::receive(const std::shared_ptr<Peer>& peer, std::string_view bytes) {
  if (!peer->open || state == State::dead) return;
  peer->in.append(bytes);
  process(peer);
}

void Sentinel::process(const std::shared_ptr<Peer>& peer) {
  std::string out;
  Args args;
  std::size_t used = 0;
  while (peer->open && state != State::frozen && used < peer->in.size()) {
    const auto outcome =
        peer->parser.parse(std::string_view(peer->in).substr(used), RequestLimits{}, args);
    if (outcome.status == RequestParser::Status::need_more) break;
    STAYD_ASSERT(outcome.status == RequestParser::Status::ready);
    used += outcome.consumed;
    command(*peer, args, out);
  }
  peer->in.erase(0, used);
  if (!out.empty() && peer->open) peer->send(std::move(out));
}

void Sentinel::peer_gone(const std::shared_ptr<Peer>& peer) {
  peer->open = false;
  peers_.erase(peer->id);
}

void Sentinel::become(State next) {
  state = next;
  if (next == State::dead) {
    for (auto& [number, peer] : std::exchange(peers_, {})) {
      peer->open = false;
      peer->close();
    }
  }
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
    if (!peer->queued.empty()) peer->send(out);  // has subscribed
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
    peer.queued.emplace_back();
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
