#include "sim/redis_model.h"

#include <utility>

#include "base/error.h"

namespace stayd::sim {

namespace {

constexpr std::size_t kMaxJournal = 20'000;  // bounds memory and how far back a restart can go

}  // namespace

RedisModel::RedisModel(Scheduler& scheduler, Random& random)
    : scheduler_(scheduler), random_(random) {
  start(0);
}

// --- life and death -------------------------------------------------------------------------

void RedisModel::start(std::size_t lost_changes) {
  running_ = true;
  evicted_keys_ = 0;
  flags = ServerFlags{};
  denied.clear();
  new_process();
  go_back(lost_changes);
}

void RedisModel::fail_over(std::size_t lost_changes) {
  new_process();
  go_back(lost_changes);
}

void RedisModel::new_process() {
  run_id_ = "run" + std::to_string(++starts_) + "-" + std::to_string(random_.next());
  scripts_.clear();
  cursors_.clear();
}

void RedisModel::go_back(std::size_t lost_changes) {
  // One command's, script's or transaction's changes stay together.
  std::uint64_t group = 0;
  while (!journal_.empty() && (lost_changes > 0 || journal_.back().group == group)) {
    Undo& undo = journal_.back();
    group = undo.group;
    if (undo.before) {
      data_[undo.key] = std::move(*undo.before);
    } else {
      data_.erase(undo.key);
    }
    journal_.pop_back();
    if (lost_changes > 0) --lost_changes;
  }
}

void RedisModel::start_empty() {
  data_.clear();
  journal_.clear();
  start(0);
}

void RedisModel::start_as_replica_of(const RedisModel& primary, std::size_t lost_changes) {
  data_ = primary.data_;
  journal_ = primary.journal_;
  start(lost_changes);
}

std::unique_ptr<RedisModel> RedisModel::promote_replica(std::size_t lost_changes) {
  auto old = std::make_unique<RedisModel>(*this);
  for (auto& [id, peer] : peers_) peer->server = old.get();
  peers_.clear();
  start(lost_changes);
  return old;
}

void RedisModel::trade_places(RedisModel& other) {
  std::swap(running_, other.running_);
  std::swap(run_id_, other.run_id_);
  std::swap(evicted_keys_, other.evicted_keys_);
  std::swap(next_client_id_, other.next_client_id_);
  std::swap(data_, other.data_);
  std::swap(journal_, other.journal_);
  std::swap(group_, other.group_);
  std::swap(taken_, other.taken_);
  std::swap(flushed_, other.flushed_);
  std::swap(flushed_us_, other.flushed_us_);
  std::swap(scripts_, other.scripts_);
  std::swap(peers_, other.peers_);
  std::swap(cursors_, other.cursors_);
  for (auto& [id, peer] : peers_) peer->server = this;
  for (auto& [id, peer] : other.peers_) peer->server = &other;
}

void RedisModel::kill() {
  running_ = false;
  end_connections();
}

void RedisModel::thaw() {
  if (!flags.frozen) return;
  flags.frozen = false;
  // What had arrived is executed now, connection by connection, in no order a client could rely on.
  for (const auto& entry : peers_) {
    const PeerPtr peer = entry.second;
    if (peer->in.empty()) continue;
    scheduler_.after(static_cast<std::int64_t>(random_.below(5 * kMs)),
                     [peer] { peer->server->process(peer); });
  }
}

void RedisModel::forget_times() {
  for (Undo& undo : journal_) undo.time_us = 0;
  taken_.clear();
  flushed_.clear();
  flushed_us_ = -kSecond;
}

void RedisModel::evict(std::size_t count) {
  if (!running_) return;
  for (; count > 0 && !data_.empty(); --count) {
    auto it = data_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.below(data_.size())));
    const FullKey key = it->first;
    evict_one(key);
  }
}

void RedisModel::evict_one(const FullKey& key) {
  if (!data_.contains(key)) return;
  ++evicted_keys_;
  ++group_;
  taken_.insert(key);
  if (scheduler_.now_us() - flushed_us_ < kSecond) taken_.insert(flushed_.begin(), flushed_.end());
  on_evicted(key);
  set(key, std::nullopt);
}

void RedisModel::flush_all() {
  ++group_;
  flushed_.clear();
  flushed_us_ = scheduler_.now_us();
  while (!data_.empty()) {
    const FullKey key = data_.begin()->first;
    flushed_.insert(key);
    set(key, std::nullopt);
  }
  if (evicted_keys_ > 0) taken_.insert(flushed_.begin(), flushed_.end());
}

void RedisModel::remove(const FullKey& key) {
  ++group_;
  taken_.insert(key);
  set(key, std::nullopt);
}

void RedisModel::put(const FullKey& key, Record record) {
  ++group_;
  set(key, std::move(record));
}

void RedisModel::migrate(FullKey key, RedisModel& to) {
  Record record = data_.at(key);
  // Its time to live goes along, whatever the clock there says.
  if (record.expires_at_ms != 0) record.expires_at_ms += to.clock_offset_ms - clock_offset_ms;
  to.put(key, std::move(record));
  ++group_;
  set(key, std::nullopt);
}

std::size_t RedisModel::changes_since(std::int64_t time_us) const {
  std::size_t count = 0;
  for (auto it = journal_.rbegin(); it != journal_.rend() && it->time_us > time_us; ++it) ++count;
  return count;
}

// --- connections ----------------------------------------------------------------------------

void RedisModel::greet(const PeerPtr& peer) {
  if (!flags.full) return;
  peer->send("-ERR max number of clients reached\r\n");
  send_away(peer);
}

void RedisModel::on_received(const PeerPtr& peer) {
  if (reply_delay_us == 0) return process(peer);
  scheduler_.after(reply_delay_us, [peer] { peer->server->process(peer); });
}

// --- the dataset ----------------------------------------------------------------------------

Record* RedisModel::find(int db, std::string_view key) {
  const auto it = data_.find(full_key(db, key));
  if (it == data_.end()) return nullptr;
  if (it->second.expired(wall_ms())) {
    const FullKey full = it->first;
    set(full, std::nullopt);
    return nullptr;
  }
  return &it->second;
}

void RedisModel::set(const FullKey& key, std::optional<Record> record) {
  const auto it = data_.find(key);
  if (it == data_.end() && !record) return;
  journal_.push_back({key, it == data_.end() ? std::nullopt : std::optional(it->second), group_,
                      scheduler_.now_us()});
  if (journal_.size() > kMaxJournal) journal_.pop_front();
  if (!record) {
    data_.erase(it);
  } else {
    data_[key] = std::move(*record);
  }
}

}  // namespace stayd::sim
