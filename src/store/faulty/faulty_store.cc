#include "store/faulty/faulty_store.h"

#include <cstdint>
#include <limits>
#include <utility>

namespace stayd {
namespace {

bool skips(const std::optional<FaultyStore::Fault>& fault) {
  return fault && !fault->error.message.empty() && !fault->take_effect;
}

}  // namespace

void FaultyStore::inject(Operation operation, Fault fault) {
  faults_[static_cast<std::size_t>(operation)].push_back(std::move(fault));
}

void FaultyStore::heal() {
  for (auto& faults : faults_) faults.clear();
}

std::optional<FaultyStore::Fault> FaultyStore::meet(Operation operation) {
  auto& faults = faults_[static_cast<std::size_t>(operation)];
  if (faults.empty()) return std::nullopt;
  Fault& front = faults.front();
  Fault met = front;
  if (front.times != std::numeric_limits<std::uint64_t>::max() && --front.times == 0) {
    faults.pop_front();
  }
  if (!met.error.message.empty()) last_error_ = met.error.message;
  return met;
}

StoreToken FaultyStore::expect(StoreToken token, Operation operation,
                               const std::optional<Fault>& fault, Durability durability) {
  Pending pending;
  pending.synced = durability == Durability::synced;
  pending.token = token;
  pending.operation = operation;
  pending.due = deliveries_ + (fault ? fault->deliveries : 0);
  if (fault) pending.error = fault->error;
  if (skips(fault)) {
    pending.ended = true;
    if (operation == Operation::load || operation == Operation::load_meta) pending.result = Row{};
    if (operation == Operation::scan) pending.result = ScanPage{};
  }
  pending_.push_back(std::move(pending));
  return first_number_ + pending_.size() - 1;
}

void FaultyStore::apply(std::vector<Change> changes, Durability durability) {
  const std::optional<Fault> fault = meet(Operation::apply);
  for (Change& change : changes) {
    if (change.token == 0) continue;
    change.token = expect(change.token, Operation::apply, fault, durability);
  }
  if (!skips(fault)) inner_.apply(std::move(changes), durability);
}

void FaultyStore::apply_one(Mutation mutation, StoreToken token, Durability durability) {
  const std::optional<Fault> fault = meet(Operation::apply);
  if (token != 0) token = expect(token, Operation::apply, fault, durability);
  if (!skips(fault)) inner_.apply_one(std::move(mutation), token, durability);
}

void FaultyStore::load(FullKey key, StoreToken token) {
  const std::optional<Fault> fault = meet(Operation::load);
  token = expect(token, Operation::load, fault);
  if (!skips(fault)) inner_.load(std::move(key), token);
}

void FaultyStore::load_meta(FullKey key, StoreToken token) {
  const std::optional<Fault> fault = meet(Operation::load_meta);
  token = expect(token, Operation::load_meta, fault);
  if (!skips(fault)) inner_.load_meta(std::move(key), token);
}

void FaultyStore::scan(ScanQuery query, StoreToken token) {
  const std::optional<Fault> fault = meet(Operation::scan);
  token = expect(token, Operation::scan, fault);
  if (!skips(fault)) inner_.scan(std::move(query), token);
}

void FaultyStore::flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) {
  const std::optional<Fault> fault = meet(Operation::flush);
  if (token != 0) token = expect(token, Operation::flush, fault);
  if (!skips(fault)) inner_.flush(db, hlc, std::move(slots), token);
}

void FaultyStore::swap_databases(int a, int b, StoreToken token) {
  const std::optional<Fault> fault = meet(Operation::swap);
  if (token != 0) token = expect(token, Operation::swap, fault);
  if (!skips(fault)) inner_.swap_databases(a, b, token);
}

void FaultyStore::put_fact(std::string name, std::string value) {
  inner_.put_fact(std::move(name), std::move(value));
}

void FaultyStore::end(StoreToken number, const Error& error, Value result) {
  STAYD_ASSERT(number >= first_number_ && number - first_number_ < pending_.size());
  Pending& pending = pending_[number - first_number_];
  pending.ended = true;
  if (pending.error.message.empty()) pending.error = error;
  pending.result = std::move(result);
}

void FaultyStore::on_applied(StoreToken token, const Error& error, const ApplyResult& result) {
  end(token, error, result);
}

void FaultyStore::on_loaded(StoreToken token, const Error& error, Row row) {
  end(token, error, std::move(row));
}

void FaultyStore::on_scanned(StoreToken token, const Error& error, ScanPage page) {
  end(token, error, std::move(page));
}

void FaultyStore::report(Pending& pending) {
  const bool failed = !pending.error.message.empty();  // an in-doubt result is not given away
  if (auto* row = std::get_if<Row>(&pending.result)) {
    events_->on_loaded(pending.token, pending.error, failed ? Row{} : std::move(*row));
  } else if (auto* page = std::get_if<ScanPage>(&pending.result)) {
    events_->on_scanned(pending.token, pending.error, failed ? ScanPage{} : std::move(*page));
  } else {
    events_->on_applied(pending.token, pending.error,
                        failed ? ApplyResult{} : std::get<ApplyResult>(pending.result));
  }
}

void FaultyStore::deliver() {
  const StoreToken end = first_number_ + pending_.size();
  bool synced_wait = false;
  for (StoreToken number = first_number_; number < end && !held_; ++number) {
    Pending& pending = pending_[number - first_number_];
    if (pending.reported) continue;
    const bool waits = !pending.ended || pending.due > deliveries_;
    if (waits && !pending.synced) break;
    synced_wait |= waits;
    if (pending.synced && synced_wait) continue;
    pending.reported = true;
    report(pending);
  }
  while (!pending_.empty() && pending_.front().reported) {
    pending_.pop_front();
    ++first_number_;
  }
  ++deliveries_;
}

void FaultyStore::crash() {
  first_number_ += pending_.size();
  pending_.clear();
}

StoreStats FaultyStore::stats() const {
  StoreStats out = inner_.stats();
  if (out.last_error.empty()) out.last_error = last_error_;
  return out;
}

}  // namespace stayd
