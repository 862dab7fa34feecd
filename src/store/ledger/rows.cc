#include "store/ledger/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "store/ledger/tombs.h"

namespace stayd {
namespace {

using rocksdb::Slice;
using rocksdb::Status;

std::string_view view(const Slice& slice) {
  return {slice.data(), slice.size()};
}
Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

// What the walk over one column family told of a key.
struct Candidate {
  bool wanted = false;
  RowMeta meta;
};

bool live_wanted(const RowMeta& meta, const ScanQuery& query, std::int64_t wall_ms) {
  const bool live = query.with_expired ? meta.state == RowState::live : meta.live_at(wall_ms);
  return meta.hlc > query.newer_than && live;
}

}  // namespace

Record empty_record(ValueType type) {
  Record record;
  switch (type) {
    case ValueType::none:
      break;
    case ValueType::string:
      record.value = std::string();
      break;
    case ValueType::hash:
      record.value = HashValue();
      break;
    case ValueType::set:
      record.value = SetValue();
      break;
    case ValueType::zset:
      record.value = SortedSetValue();
      break;
    case ValueType::opaque:
      record.value = OpaqueValue();
      break;
  }
  return record;
}

Result<void> add_element(Record& record, ValueType type, std::string_view name,
                         std::string_view bytes) {
  if (type == ValueType::hash) {
    std::get<HashValue>(record.value).insert_or_assign(std::string(name), std::string(bytes));
  } else if (type == ValueType::set) {
    std::get<SetValue>(record.value).emplace(name);
  } else {
    const Result<double> score = decode_score(bytes);
    if (!score) return score.error();
    std::get<SortedSetValue>(record.value).set(name, *score);
  }
  return {};
}

Result<StoredRow> Rows::stored(std::string_view row_key, bool payload) const {
  rocksdb::PinnableSlice value;
  const Status status =
      database_.db()->Get(rocksdb::ReadOptions(), database_.meta(), slice(row_key), &value);
  if (status.IsNotFound()) return StoredRow{};
  if (!status.ok()) return to_error(status, "cannot read a row");
  if (!payload) return decode_row_header(view(value));
  Result<StoredRow> row = decode_row(view(value));
  if (!row || !row->packed || is_collection(row->meta.type)) return row;
  const std::string_view header = view(value).substr(0, value.size() - row->payload.size());
  Result<std::string> unpacked = database_.values().unpack(row->payload, {"r", header, row_key});
  if (!unpacked) return unpacked.error();
  row->payload = std::move(*unpacked);
  return row;
}

Result<std::optional<std::string>> Rows::element(const ElementCodec& codec,
                                                 const std::string& element_key) const {
  std::string value;
  const Status status =
      database_.db()->Get(rocksdb::ReadOptions(), database_.elements(), element_key, &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return to_error(status, "cannot read an element");
  if (!codec.packs()) return std::optional<std::string>(std::move(value));
  std::string room;
  const Result<ElementCodec::Element> element = codec.unpack(element_key, value, room);
  if (!element) return element.error();
  return std::optional<std::string>(element->value);
}

Result<void> Rows::read_elements(std::string_view row_key, const StoredRow& stored,
                                 Record& record) const {
  const ElementCodec codec(database_.values(), row_key, stored);
  const std::string& prefix = codec.prefix();
  const std::unique_ptr<rocksdb::Iterator> it(
      database_.db()->NewIterator(rocksdb::ReadOptions(), database_.elements()));
  std::uint64_t found = 0;
  std::string room;
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next(), ++found) {
    const Result<ElementCodec::Element> element =
        codec.unpack(view(it->key()), view(it->value()), room);
    if (!element) return element.error();
    const Result<void> added = add_element(record, stored.meta.type, element->name, element->value);
    if (!added) return added;
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot read a collection");
  if (found != stored.elements) {
    return make_error(Errc::corrupt, fmt::format("ledger: a collection has {} of its {} elements",
                                                 found, stored.elements));
  }
  return {};
}

Result<Row> Rows::load(std::string_view full_key) const {
  const std::string key = row_key(spaces_, full_key);
  Result<StoredRow> found = stored(key, true);
  if (!found) return found.error();
  Row row;
  row.meta = found->meta;
  if (row.meta.state != RowState::live) return row;
  row.record = empty_record(row.meta.type);
  row.record.expires_at_ms = row.meta.expires_at_ms;
  if (auto* text = std::get_if<std::string>(&row.record.value)) *text = std::move(found->payload);
  if (auto* opaque = std::get_if<OpaqueValue>(&row.record.value)) {
    opaque->dump = std::move(found->payload);
  }
  if (is_collection(row.meta.type)) {
    const Result<void> read = read_elements(key, *found, row.record);
    if (!read) return read.error();
  }
  return row;
}

Result<bool> Rows::scan_database(const ScanQuery& query, int db, std::int64_t wall_ms,
                                 std::size_t& visited, ScanPage& page) const {
  const bool tombs = query.state == RowState::tomb;
  const std::size_t limit = std::clamp<std::size_t>(query.limit, 1, kMaxPage);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(
      database_.db()->NewIterator(options, tombs ? database_.tombs() : database_.meta()));
  const std::string prefix = row_key(spaces_, full_key(db, ""));
  const bool resumed = !query.after.empty() && db_of(query.after) == db;
  const std::string from = resumed ? row_key(spaces_, query.after) : prefix;
  it->Seek(from);
  if (resumed && it->Valid() && view(it->key()) == from) it->Next();
  for (; it->Valid() && it->key().starts_with(prefix); it->Next()) {
    if (page.entries.size() >= limit || visited >= kMaxVisited) return true;
    ++visited;
    Candidate candidate;
    page.next = full_key(db, view(it->key()).substr(1));
    if (!in_slots(query.slots, page.next)) continue;
    if (tombs) {
      const std::optional<TombEntry> entry = decode_tomb(view(it->value()));
      if (entry && entry->hlc <= query.newer_than) continue;
      const Result<StoredRow> row = stored(view(it->key()), false);
      if (!row) return row.error();
      candidate = {row->meta.state == RowState::tomb && row->meta.hlc > query.newer_than,
                   row->meta};
    } else {
      const Result<StoredRow> row = decode_row_header(view(it->value()));
      if (!row) return row.error();
      candidate = {live_wanted(row->meta, query, wall_ms), row->meta};
    }
    if (candidate.wanted) page.entries.push_back({page.next, candidate.meta});
  }
  if (!it->status().ok()) return to_error(it->status(), "cannot scan");
  return false;
}

Result<ScanPage> Rows::scan(const ScanQuery& query, std::int64_t wall_ms) const {
  ScanPage page;
  page.next = query.after;
  std::size_t visited = 0;
  const int first = query.after.empty() ? 0 : db_of(query.after);
  for (int db = first; db < kDatabases; ++db) {
    if (query.db >= 0 && db != query.db) continue;
    const Result<bool> full = scan_database(query, db, wall_ms, visited, page);
    if (!full) return full.error();
    if (*full) return page;
  }
  page.done = true;
  return page;
}

}  // namespace stayd
