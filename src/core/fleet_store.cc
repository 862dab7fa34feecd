#include "core/fleet_store.h"

#include <algorithm>

namespace stayd {

namespace {

constexpr std::int64_t kTellUs = 250'000;
constexpr std::int64_t kFarMs = 1000;

constexpr const char* kEpoch = "backup_epoch";

// What the others must hear of. `stale` and its like concern this host's Redis alone.
bool is_shipped(Mutation::Kind kind) {
  using Kind = Mutation::Kind;
  return kind == Kind::put || kind == Kind::value || kind == Kind::elements ||
         kind == Kind::expiry || kind == Kind::tomb;
}

}  // namespace

FleetStore::FleetStore(Store& ledger, Backup& backup, FleetOptions options, HlcClock& clock,
                       Counters& counters)
    : c_(ledger, backup, options, clock, counters),
      shipper_(c_, [this](const FullKey& key) { feed_.look(key); }),
      reads_(c_, shipper_),
      agreement_(c_, shipper_),
      sample_(c_),
      feed_(c_, shipper_, sample_),
      restored_(c_, sample_) {
  ledger.set_events(&c_.ledger_ops);
  backup.set_events(this);
}

void FleetStore::start(Now now) {
  c_.now = now;
  c_.in_backup = [this](const BackupRow& row) { sample_.saw(row); };
  sample_.start();
  feed_.start();
  shipper_.start();
  restored_.start();
  c_.backup.start();
}

void FleetStore::on_tick(Now now) {
  c_.now = now;
  feed_.on_tick();
  shipper_.on_tick();
  look_for_restore();
  sample_.on_tick();
  restored_.on_tick();
  tell_of_itself();
  submit();
}

// Its entry in the host table, at least once a second. Not over one that has not been looked at: an
// older one than was confirmed says that the backup was restored.
void FleetStore::tell_of_itself() {
  if (!c_.status.writable || c_.judge == nullptr || !feed_.knows_its_end()) return;
  if (feed_.hosts_read_us() <= up_us_) return;
  const bool trusts = c_.judge->trusts_redis();
  if (c_.now.mono_us - told_us_ < kTellUs && trusts == told_trust_) return;
  told_us_ = c_.now.mono_us;
  told_trust_ = trusts;
  BackupHost host;
  host.instance = host_of(c_.options.origin);
  host.name = c_.options.name;
  host.trusts_redis = trusts;
  host.shipped_to = shipper_.shipped_to();
  host.hlc = c_.clock.next(c_.now.wall_ms);
  const Hlc entry = host.hlc;
  c_.backup.write({.host = std::move(host)}, c_.backup_ops.token(restored_.entries(), entry),
                  c_.in(c_.options.ship_deadline_ms));
}

void FleetStore::submit() {
  reads_.submit();
  shipper_.submit();
  c_.ledger.submit();
}

void FleetStore::on_status(const BackupStatus& status) {
  c_.status = status;
  if (status.up) up_us_ = c_.now.mono_us;
  if (!status.up || status.epoch.empty()) return;
  const std::string known = c_.ledger.fact(kEpoch);
  if (known == status.epoch) return;
  c_.ledger.put_fact(kEpoch, status.epoch);
  if (!known.empty()) on_restored();
}

void FleetStore::look_for_restore() {
  const bool entry = restored_.has_gone_back(feed_.hosts(), feed_.hosts_read_us());
  const bool row = sample_.has_gone_back();
  if (entry || row) on_restored();
}

// What the feed has shown says nothing any more, and what was shipped may not be there.
void FleetStore::on_restored() {
  if (!restored_.looks_first()) ++c_.counters.backup_restores;
  feed_.restart();
  restored_.begin();
}

FleetStatus FleetStore::status() const {
  BackupStatus backup = c_.status;
  backup.up = c_.can_read();
  backup.writable = c_.can_write();
  const FleetShipper::Backlog backlog = shipper_.backlog();
  return {backup,
          shipper_.unshipped(),
          backlog.put_off,
          backlog.oldest,
          shipper_.shipped_to(),
          feed_.read_at_us(),
          feed_.rows_taken(),
          passed_.used(),
          reads_.under_way(),
          agreement_.under_way(),
          restored_.under_way(),
          c_.judge == nullptr ? 0 : c_.judge->hosts_at_work()};
}

// --- what the ledger does

StoreToken FleetStore::pass(Passed passed) {
  return c_.ledger_ops.token(*this, passed_.add(std::move(passed)));
}

FleetStore::Passed FleetStore::prepare(Mutation& mutation, StoreToken token,
                                       Durability durability) {
  Passed passed{.token = token};
  mutation.origin = c_.options.origin;
  mutation.through_redis =
      c_.judge != nullptr && c_.judge->made_through_redis(mutation.key, mutation.hlc);
  if (!is_shipped(mutation.kind)) return passed;
  passed.key = mutation.key;
  passed.hlc = mutation.hlc;
  passed.ships = true;
  c_.recording.insert(mutation.hlc);
  passed.tomb = mutation.kind == Mutation::Kind::tomb && durability == Durability::synced;
  passed.opens = mutation.creates;
  passed.creates = mutation.from_client && mutation.kind != Mutation::Kind::expiry;
  if (mutation.kind == Mutation::Kind::expiry) passed.expires_at_ms = mutation.record.expires_at_ms;
  return passed;
}

void FleetStore::apply_one(Mutation mutation, StoreToken token, Durability durability) {
  Passed passed = prepare(mutation, token, durability);
  const bool silent = token == 0 && !passed.ships;
  c_.ledger.apply_one(std::move(mutation), silent ? 0 : pass(std::move(passed)), durability);
}

void FleetStore::apply(std::vector<Change> changes, Durability durability) {
  for (Change& change : changes) {
    Passed passed = prepare(change.mutation, change.token, durability);
    const bool silent = change.token == 0 && !passed.ships;
    change.token = silent ? 0 : pass(std::move(passed));
  }
  c_.ledger.apply(std::move(changes), durability);
}

void FleetStore::on_applied(std::uint64_t tag, const Error& error, const ApplyResult& result) {
  const Passed passed = passed_.take(tag);
  if (passed.ships) c_.recording.extract(passed.hlc);
  const bool changed =
      passed.ships && error.message.empty() && result.outcome == ApplyOutcome::applied;
  if (!changed) return report(passed.token, error, result);
  shipper_.changed(passed.key, passed.hlc, wait_ms(passed, result.before));
  const bool created = passed.opens || (passed.creates && !result.before.live_at(c_.now.wall_ms));
  const bool told_later =
      passed.token != 0 && (passed.tomb || created) && c_.can_write() && fits_backup(passed.key);
  if (!told_later) return report(passed.token, error, result);
  shipper_.ship_now(
      passed.key, c_.options.told_after_ms,
      [this, token = passed.token, error, result](bool) { report(token, error, result); },
      passed.tomb);
}

// An expiry that is put off is known for so long to the backup that it may wait; one that is nearer
// than before is a change like any other.
std::int64_t FleetStore::wait_ms(const Passed& passed, const RowMeta& before) const {
  const bool put_off =
      passed.expires_at_ms &&
      later_expiry(*passed.expires_at_ms, before.expires_at_ms) != before.expires_at_ms;
  if (!put_off) return c_.options.ship_after_ms;
  const std::int64_t left_ms = before.expires_at_ms - c_.now.wall_ms;
  const auto wait_ms = std::clamp<std::int64_t>(left_ms / 8, 0, c_.options.touch_after_ms);
  // What is put off by more than that would be lost with this host, for no fewer shipments.
  const bool far = *passed.expires_at_ms == 0 ||
                   *passed.expires_at_ms - before.expires_at_ms > std::max(wait_ms, kFarMs);
  return far ? c_.options.ship_after_ms : wait_ms;
}

void FleetStore::report(StoreToken token, const Error& error, const ApplyResult& result) {
  if (token != 0) events_->on_applied(token, error, result);
}

void FleetStore::load(FullKey key, StoreToken token) {
  c_.ledger.load(std::move(key), pass(token));
}
void FleetStore::load_meta(FullKey key, StoreToken token) {
  c_.ledger.load_meta(std::move(key), pass(token));
}
void FleetStore::on_loaded(std::uint64_t tag, const Error& error, Row row) {
  events_->on_loaded(passed_.take(tag).token, error, std::move(row));
}
void FleetStore::scan(ScanQuery query, StoreToken token) {
  c_.ledger.scan(std::move(query), pass(token));
}
void FleetStore::on_scanned(std::uint64_t tag, const Error& error, ScanPage page) {
  events_->on_scanned(passed_.take(tag).token, error, std::move(page));
}
void FleetStore::flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) {
  c_.ledger.flush(db, hlc, std::move(slots), token == 0 ? 0 : pass(token));
}
void FleetStore::swap_databases(int a, int b, StoreToken token) {
  c_.ledger.swap_databases(a, b, token == 0 ? 0 : pass(token));
}

// --- what the backup is asked

void FleetStore::load_exact(FullKey key, StoreToken token) {
  reads_.load(key, [this, token](const Error& error, Row row, bool alone) {
    row.alone = alone;
    events_->on_loaded(token, error, std::move(row));
  });
}

void FleetStore::apply_agreed(std::vector<Change> changes, RowsRead read, Durability durability) {
  std::vector<StoreToken> tokens;
  for (Change& change : changes) {
    change.mutation.origin = c_.options.origin;
    tokens.push_back(change.token);
  }
  FleetAgreement::Answer answer;
  answer.record = [this, durability](std::vector<Change> alone) {
    for (Change& change : alone) {
      if (change.token != 0) change.token = pass(Passed{.token = change.token});
    }
    c_.ledger.apply(std::move(alone), durability);
  };
  answer.agreed = [this, tokens](const Error& error, const std::vector<ApplyResult>& results) {
    for (std::size_t i = 0; i < tokens.size(); ++i) report(tokens[i], error, results[i]);
  };
  answer.outpaced = [this, tokens] {
    for (const StoreToken token : tokens) {
      report(token, {}, {.outcome = ApplyOutcome::outpaced, .before = {}});
    }
  };
  agreement_.decide(std::move(changes), std::move(read), durability, std::move(answer));
}

}  // namespace stayd
