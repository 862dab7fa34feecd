#include "core/replica_reads.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/info.h"
#include "core/canary.h"
#include "core/reply_class.h"
#include "core/side_keys.h"
#include "resp/reply.h"
#include "resp/request_parser.h"
#include "session/effects.h"

namespace stayd {

namespace {

constexpr std::string_view kFact = "replicas";

// Of one key, and never changing it. A number or a list of them says nothing of what is missing.
constexpr std::string_view kReads[] = {
    "get",     "strlen", "getrange", "exists", "ttl",      "pttl",      "expiretime",
    "type",    "hget",   "hmget",    "hkeys",  "hvals",    "hgetall",   "pexpiretime",
    "hexists", "hlen",   "hstrlen",  "scard",  "smembers", "sismember", "smismember",
};

bool is_hit(const Call& call, std::string_view frame) {
  const ReplyView reply(frame);
  if (reply.is_error() || looks_absent(*call.spec, call.args, reply)) return false;
  if (call.spec->name != "hmget" && call.spec->name != "smismember") return true;
  auto elements = reply.elements();
  for (ReplyView one; elements.next(one);) {
    if (one.is_null() || one.integer() == 0) return false;
  }
  return true;
}

std::string first_line(std::string_view error) {
  return std::string(error.substr(1, error.find('\r') - 1));
}

}  // namespace

void ReplicaReads::attach(Replica* replica, Upstream& aux) {
  replica_ = replica;
  aux_ = &aux;
}

// --- who they are

// The fact: Redis as the configuration names it; the times of the primary's last heartbeat and of
// the ledger's beginning; and each address.
void ReplicaReads::start() {
  redis_ = c_.options.region.empty() ? c_.options.address : c_.options.region;
  if (!on()) return;
  std::istringstream lines(c_.store.fact(kFact));
  std::string redis, times;
  std::getline(lines, redis);
  std::getline(lines, times);
  if (redis == redis_ || !c_.place.everything()) {
    std::istringstream(times) >> last_beat_ms_ >> anew_ms_;
    for (std::string address; std::getline(lines, address);) named_.push_back(address);
  }
  gather();
}

void ReplicaReads::save() {
  std::string text = redis_ + "\n" + std::to_string(last_beat_ms_) + " " + std::to_string(anew_ms_);
  for (const std::string& address : named_) text.append("\n").append(address);
  c_.store.put_fact(std::string(kFact), std::move(text));
}

void ReplicaReads::gather() {
  auto addresses = c_.options.replicas;
  for (const std::string& one : named_) {
    if (std::ranges::find(addresses, one) == addresses.end()) addresses.push_back(one);
  }
  if (addresses == addresses_) return;
  addresses_ = std::move(addresses);
  replica_->set_addresses(addresses_);
}

void ReplicaReads::name(std::vector<std::string> addresses) {
  if (!on()) return;
  named_ = std::move(addresses);
  gather();
}

void ReplicaReads::on_primary(const std::vector<NamedReplica>& replicas) {
  std::vector<std::string> addresses;
  for (const NamedReplica& one : replicas) {
    if (one.online && one.lag_s * 1000 < kMaxBehindMs) addresses.push_back(one.address);
  }
  if (c_.place.everything()) name(std::move(addresses));
}

void ReplicaReads::look() {
  if (!c_.place.everything() || !aux_->up()) return;
  std::string request;
  append_request(request, {"INFO", "replication"});
  aux_->send(request, -1, *this, kInfo, c_.deadline_us(c_.options.slow_deadline_ms));
}

void ReplicaReads::on_tick(std::int64_t last_beat_ms, Trust trust) {
  if (!on()) return;
  last_beat_ms_ = std::max(last_beat_ms_, last_beat_ms);
  if (!waiting_.empty()) miss_late();
  if (trust != Trust::trusted || c_.now.mono_us < next_look_us_) return;
  next_look_us_ = c_.deadline_us(kLookIntervalMs);
  save();
  look();
}

void ReplicaReads::on_trust(Trust trust) {
  if (!on()) return;
  told_.clear();
  if (trust == Trust::out) return save();
  replica_->close();
}

// Its replicas must be as recent as the one before was.
void ReplicaReads::change_memory(std::vector<std::string> replicas) {
  redis_ = c_.options.region;
  c_.options.replicas = std::move(replicas);
  if (!on()) return;
  named_.clear();
  gather();
  replica_->close();
  replica_->condemn("another Redis is used from now on");
}

void ReplicaReads::on_ledger_anew() {
  if (!on()) return;
  anew_ms_ = c_.now.wall_ms;
  save();
}

// --- what is asked

bool ReplicaReads::ask(Call& call, Hlc floor, std::int64_t deadline_us) {
  if (!on() || addresses_.empty() || waiting_.size() >= kMaxWaiting) return false;
  if (std::ranges::find(kReads, call.spec->name) == std::end(kReads)) return false;
  replica_->open(c_.now);
  if (!replica_->reachable()) {
    ++c_.counters.replica_misses;
    return false;
  }
  const Asked asked{&call, floor, deadline_us};
  replica_->up() ? send(asked) : waiting_.push_back(asked);
  return true;
}

void ReplicaReads::send(const Asked& asked) {
  asked_.push_back(asked);
  std::string request;
  append_request(request, {"GET", c_.canary_name()});
  replica_->send(request, asked.call->db, *this, kHeartbeat, asked.deadline_us);
  replica_->send(asked.call->raw, asked.call->db, *this, kRead, asked.deadline_us);
}

// Whether a replica that holds this heartbeat of ours is recent enough. A ledger that has never
// seen its Redis knows of nothing that could be missing there.
bool ReplicaReads::vouches(std::string_view heartbeat, Hlc floor) const {
  if (last_beat_ms_ == 0 && anew_ms_ == 0 && floor == 0) return true;
  const auto canary = Canary::parse(heartbeat);
  if (!canary) return false;
  const std::int64_t behind_ms = last_beat_ms_ - canary->wall_ms;
  if (behind_ms > kMaxBehindMs) {
    replica_->condemn("what it holds is " + std::to_string(behind_ms / 1000) +
                      " s older than the primary's");
    return false;
  }
  return canary->wall_ms > anew_ms_ && canary->position >= floor &&
         canary->place >= c_.place.version();
}

void ReplicaReads::on_upstream_reply(std::uint64_t tag, std::string_view frame) {
  const ReplyView reply(frame);
  switch (static_cast<Tag>(tag)) {
    case kHeartbeat:
      asked_.front().vouched = vouches(reply.text(), asked_.front().floor);
      return;
    case kRead:
      return on_read(frame);
    case kInfo:
      if (info_field(reply.text(), "role") == "master") on_primary(replicas_of(reply.text()));
  }
}

void ReplicaReads::on_read(std::string_view frame) {
  const Asked asked = asked_.front();
  asked_.pop_front();
  if (asked.vouched && is_hit(*asked.call, frame)) {
    return events_.on_replica_hit(*asked.call, frame);
  }
  const ReplyClass reply_class = classify_reply(frame);
  const bool out = is_out(reply_class) && reply_class != ReplyClass::elsewhere;
  if (out) replica_->condemn(first_line(frame));
  ++c_.counters.replica_misses;
  events_.on_replica_miss(*asked.call);
}

void ReplicaReads::on_upstream_lost(std::uint64_t tag) {
  if (tag != kRead) return;
  const Asked asked = asked_.front();
  asked_.pop_front();
  ++c_.counters.replica_misses;
  events_.on_replica_miss(*asked.call);
}

void ReplicaReads::miss_late() {
  while (!waiting_.empty()) {
    const Asked first = waiting_.front();
    const bool late = first.deadline_us <= c_.now.mono_us;
    if (!late && replica_->reachable() && !c_.up()) return;
    if (late) replica_->doubt();
    waiting_.pop_front();
    ++c_.counters.replica_misses;
    events_.on_replica_miss(*first.call);
  }
}

// --- its connection

void ReplicaReads::on_upstream_up(const GateFacts&) {
  arrived_ = true;
  c_.events.on_event({Severity::info,
                      "replica_asked",
                      "Redis " + c_.options.address + " is out: its replica " +
                          replica_->address() + " is asked for what the ledger does not know",
                      {}});
  if (!c_.place.everything()) {
    std::string request;
    append_request(request, {"READONLY"});
    replica_->send(request, -1, swallow_, 0, c_.deadline_us(c_.options.slow_deadline_ms));
  }
  for (const Asked& asked : std::exchange(waiting_, {})) send(asked);
}

void ReplicaReads::on_upstream_down(bool, std::string_view cause) {
  if (c_.up()) return;  // it is not needed any more
  ++c_.counters.replica_failures;
  const std::string text =
      "the replica " + replica_->address() + " cannot be asked (" + std::string(cause) + ")";
  if (std::exchange(told_, text) == text) return;
  c_.events.on_event({Severity::warning, "replica_failed", text, {}});
}

}  // namespace stayd
