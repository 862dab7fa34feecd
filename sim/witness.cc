#include "sim/witness.h"

namespace stayd::sim {

namespace {

std::string text_of(const Record& record) {
  std::string out = "a value of another type";
  if (const auto* text = std::get_if<std::string>(&record.value)) out = '"' + *text + '"';
  if (const auto* hash = std::get_if<HashValue>(&record.value)) {
    out = "{";
    for (const auto& [field, value] : *hash) out += field + '=' + value + ' ';
    out += '}';
  }
  if (record.expires_at_ms != 0) out += " until " + std::to_string(record.expires_at_ms);
  return out;
}

std::string text_of(const Row& row) {
  std::string out;
  if (row.meta.state == RowState::absent) return "nothing";
  out = row.meta.state == RowState::tomb ? "tombstone" : text_of(row.record);
  out += ", version " + std::to_string(row.meta.hlc) + ", mark " +
         std::to_string(row.meta.mark.epoch) + "/" + std::to_string(row.meta.mark.evicted_keys);
  if (row.meta.stale) out += ", stale";
  if (row.meta.adopted) out += ", adopted";
  if (row.meta.provisional) out += ", provisional";
  return out;
}

}  // namespace

std::vector<std::string> Witness::changes() {
  std::vector<std::string> out;
  std::string now;
  in_redis_.resize(servers_.size());
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto held = servers_[i].data().find(key_);
    now = held == servers_[i].data().end() ? "nothing" : text_of(held->second);
    if (servers_.cluster() && !servers_[i].owns(key_)) now += ", not its own";
    const std::string number = servers_.cluster() ? " " + std::to_string(i) : "";
    if (now != in_redis_[i]) out.push_back("   Redis" + number + ": " + now);
    in_redis_[i] = std::move(now);
  }
  in_ledgers_.resize(instances_.size());
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    const auto& rows = instances_[i]->disk().rows();
    const auto row = rows.find(key_);
    now = row == rows.end() ? "nothing" : text_of(row->second);
    if (now != in_ledgers_[i]) out.push_back("   ledger " + instances_[i]->name() + now);
    in_ledgers_[i] = std::move(now);
  }
  return out;
}

}  // namespace stayd::sim
