#include "sim/server.h"

#include <utility>

#include "base/error.h"

namespace stayd::sim {

PeerPtr Server::accept() {
  auto peer = std::make_shared<Peer>();
  peer->server = this;
  peer->id = next_client_id_++;
  peers_[peer->id] = peer;
  return peer;
}

void Server::receive(const PeerPtr& peer, std::string_view bytes) {
  if (!peer->open || !listening()) return;
  peer->in.append(bytes);
  if (!frozen()) on_received(peer);
}

void Server::process(const PeerPtr& peer) {
  std::string out;
  Args args;
  std::size_t used = 0;
  while (peer->open && listening() && !frozen() && used < peer->in.size()) {
    const auto outcome =
        peer->parser.parse(std::string_view(peer->in).substr(used), RequestLimits{}, args);
    if (outcome.status == RequestParser::Status::need_more) break;
    STAYD_ASSERT(outcome.status != RequestParser::Status::error);
    used += outcome.consumed;
    if (outcome.status == RequestParser::Status::empty) continue;
    command(*peer, args, out);
  }
  if (peer->open) peer->in.erase(0, used);
  if (!out.empty() && peer->open) peer->send(std::move(out));
}

void Server::peer_gone(const PeerPtr& peer) {
  if (frozen()) return;  // its end is seen after its commands
  peer->open = false;
  peers_.erase(peer->id);
}

void Server::end_connections() {
  for (const auto& [id, peer] : std::exchange(peers_, {})) {
    peer->open = false;
    peer->in.clear();
    peer->close();
  }
}

void Server::send_away(const PeerPtr& peer) {
  peers_.erase(peer->id);
  peer->open = false;
  peer->in.clear();
  peer->close();
}

}  // namespace stayd::sim
