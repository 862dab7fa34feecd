#include "tests/differential/lane.h"

#include <algorithm>

#include "resp/request_parser.h"
#include "tests/differential/report.h"

namespace stayd::differential {
namespace {

constexpr std::size_t kEpisodeSteps = 1'500;
constexpr std::size_t kMaxBatch = 200;
constexpr std::size_t kMaxBatchBytes = 256u << 10;
constexpr int kMaxReplays = 400;  // to shrink a script

void append_words(std::string& out, const Words& words) {
  append_request(out, Args(words.begin(), words.end()));
}

Group flat(const Group& prologue, const Script& script) {
  Group all = prologue;
  for (const Group& group : script) all.insert(all.end(), group.begin(), group.end());
  return all;
}

}  // namespace

Lane::Lane(LaneOptions options, Progress& progress)
    : options_(std::move(options)),
      progress_(progress),
      writer_(options_.script),
      random_(options_.script.seed + 1) {}

std::vector<Peer> Lane::connect() const {
  std::vector<Peer> peers;
  for (const Server& server : options_.servers) peers.emplace_back(server.name, server.port);
  return peers;
}

bool Lane::run() {
  std::vector<Peer> peers = connect();
  while (!progress_.stop && progress_.commands < progress_.target) {
    const Group prologue = writer_.prologue(random_.chance(50) ? 2 : 3);
    Script script = writer_.groups(kEpisodeSteps);
    script.push_back(writer_.state());
    const Group episode = flat(prologue, script);
    auto difference = play(peers, episode);
    const std::uint64_t before = progress_.commands.fetch_add(episode.size());
    if (!difference) continue;
    if (difference->what == Judge::kUnknown) {
      ++progress_.unknown;
      peers = connect();  // a block may be open
      continue;
    }
    const std::lock_guard lock(progress_.report);
    if (progress_.stop.exchange(true)) return true;
    Report report{options_, before, episode, *difference, {}};
    print(report);
    if (options_.repeatable) {
      report.shrunk = shrink(prologue, std::move(script), *difference);
      print_shrunk(report, prologue);
    }
    return false;
  }
  return true;
}

bool Lane::same_state() {
  std::vector<Peer> peers = connect();
  const Group state = writer_.state();
  const auto difference = play(peers, state);
  if (difference) print(Report{options_, progress_.commands, state, *difference, {}});
  return !difference;
}

// Steps of the prologue: after an episode that ended early the servers' databases differ.
std::size_t Lane::unjudged() const {
  return options_.repeatable ? 0 : writer_.prologue(2).size();
}

// Every step of `steps`, in batches of random sizes, up to the first difference.
std::optional<Difference> Lane::play(std::vector<Peer>& peers, const Group& steps) {
  std::vector<Judge> judges;
  for (const Server& server : options_.servers) judges.emplace_back(server.judge);
  std::string bytes;
  for (std::size_t at = 0; at < steps.size();) {
    bytes.clear();
    const std::size_t first = at;
    const std::size_t end = std::min(steps.size(), at + 1 + random_.below(kMaxBatch));
    for (; at < end && bytes.size() < kMaxBatchBytes; ++at) {
      for (const Words& words : steps[at].unanswered) append_words(bytes, words);
      append_words(bytes, steps[at].words);
    }
    exchange(peers, bytes, at - first);
    for (std::size_t i = std::max(first, unjudged()); i < at; ++i) {
      const std::string& reference = peers[0].replies()[i - first];
      for (std::size_t server = 1; server < peers.size(); ++server) {
        const std::string& reply = peers[server].replies()[i - first];
        const auto wrong = judges[server].check(steps[i].words, reference, reply);
        if (!wrong) continue;
        Difference difference{i, server, *wrong, {}};
        for (const Peer& peer : peers) difference.replies.push_back(peer.replies()[i - first]);
        return difference;
      }
    }
  }
  return {};
}

// Leaves out what the difference does not need: halves, quarters ... single groups. The same
// command must still differ at the same server.
Script Lane::shrink(const Group& prologue, Script script, Difference& difference) {
  const std::string name = flat(prologue, script)[difference.at].words[0];
  int left = kMaxReplays;
  const auto fails = [&](const Script& shorter) {
    if (left-- <= 0) return false;
    std::vector<Peer> peers = connect();
    const Group steps = flat(prologue, shorter);
    const auto found = play(peers, steps);
    if (!found || found->server != difference.server || steps[found->at].words[0] != name) {
      return false;
    }
    difference = *found;
    return true;
  };
  if (!fails(script)) return {};
  for (std::size_t size = std::max<std::size_t>(script.size() / 2, 1);; size /= 2) {
    for (std::size_t from = 0; from < script.size();) {
      Script shorter = script;
      const auto first = shorter.begin() + static_cast<std::ptrdiff_t>(from);
      const auto out = static_cast<std::ptrdiff_t>(std::min(size, script.size() - from));
      shorter.erase(first, first + out);
      if (fails(shorter)) {
        script = std::move(shorter);
      } else {
        from += size;
      }
    }
    if (size == 1) return script;
  }
}

}  // namespace stayd::differential
