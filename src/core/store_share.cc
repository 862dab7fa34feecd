#include "core/store_share.h"

namespace stayd {

StoreEvents* SharedStore::events_of(StoreToken outer) const {
  const StoreShare* share = shares_[outer >> kTokenBits];
  return share == nullptr ? nullptr : share->events_;
}

namespace {
constexpr StoreToken kInner = (StoreToken{1} << 40) - 1;
}

void SharedStore::on_applied(StoreToken token, const Error& error, const ApplyResult& result) {
  if (auto* events = events_of(token)) events->on_applied(token & kInner, error, result);
}

void SharedStore::on_loaded(StoreToken token, const Error& error, Row row) {
  if (auto* events = events_of(token)) events->on_loaded(token & kInner, error, std::move(row));
}

void SharedStore::on_scanned(StoreToken token, const Error& error, ScanPage page) {
  if (auto* events = events_of(token)) events->on_scanned(token & kInner, error, std::move(page));
}

StoreShare::StoreShare(SharedStore& shared, std::string facts_under)
    : shared_(shared), facts_under_(std::move(facts_under)), number_(shared.shares_.size()) {
  shared.shares_.push_back(this);
}

StoreShare::~StoreShare() {
  shared_.shares_[number_] = nullptr;
}

void StoreShare::apply(std::vector<Change> changes, Durability durability) {
  for (Change& change : changes) change.token = shared_.outer(number_, change.token);
  shared_.store_.apply(std::move(changes), durability);
}

void StoreShare::apply_one(Mutation mutation, StoreToken token, Durability durability) {
  shared_.store_.apply_one(std::move(mutation), shared_.outer(number_, token), durability);
}

void StoreShare::load(FullKey key, StoreToken token) {
  shared_.store_.load(std::move(key), shared_.outer(number_, token));
}

void StoreShare::load_meta(FullKey key, StoreToken token) {
  shared_.store_.load_meta(std::move(key), shared_.outer(number_, token));
}

void StoreShare::scan(ScanQuery query, StoreToken token) {
  if (query.slots == nullptr) query.slots = slots_;
  shared_.store_.scan(std::move(query), shared_.outer(number_, token));
}

void StoreShare::flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) {
  if (slots == nullptr) slots = slots_;
  shared_.store_.flush(db, hlc, std::move(slots), shared_.outer(number_, token));
}

void StoreShare::swap_databases(int a, int b, StoreToken token) {
  shared_.store_.swap_databases(a, b, shared_.outer(number_, token));
}

// The ledger's name is that of all its engines.
std::string StoreShare::full_name(std::string_view name) const {
  return name == "instance" ? std::string(name) : facts_under_ + std::string(name);
}

void StoreShare::put_fact(std::string name, std::string value) {
  shared_.store_.put_fact(full_name(name), std::move(value));
}

std::string StoreShare::fact(std::string_view name) const {
  return shared_.store_.fact(full_name(name));
}

}  // namespace stayd
