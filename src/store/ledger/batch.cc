#include "store/ledger/batch.h"

#include <algorithm>
#include <set>
#include <utility>

#include "session/apply.h"
#include "store/ledger/tombs.h"

namespace stayd {
namespace {

using rocksdb::Slice;

bool has_payload(ValueType type) {
  return type == ValueType::string || type == ValueType::opaque;
}

std::size_t size_of(const Record& record) {
  if (const auto* hash = std::get_if<HashValue>(&record.value)) return hash->size();
  if (const auto* set = std::get_if<SetValue>(&record.value)) return set->size();
  if (const auto* sorted = std::get_if<SortedSetValue>(&record.value)) return sorted->size();
  return 0;
}

// The element as stored; nullopt: the collection has no such element.
std::optional<std::string> element_of(const Record& record, std::string_view name) {
  if (const auto* hash = std::get_if<HashValue>(&record.value)) {
    const auto found = hash->find(name);
    if (found == hash->end()) return std::nullopt;
    return found->second;
  }
  if (const auto* set = std::get_if<SetValue>(&record.value)) {
    if (set->find(name) == set->end()) return std::nullopt;
    return std::string();
  }
  if (const auto* sorted = std::get_if<SortedSetValue>(&record.value)) {
    const std::optional<double> score = sorted->score(name);
    if (!score) return std::nullopt;
    return encode_score(*score);
  }
  return std::nullopt;
}

// A name that no touched element has: longer than all of them.
std::string sentinel_name(const Mutation& mutation) {
  std::size_t longest = 0;
  for (const ElementChange& change : mutation.elements)
    longest = std::max(longest, change.name.size());
  // Of a row that is merged: what is taken, too.
  if (const auto* hash = std::get_if<HashValue>(&mutation.record.value)) {
    for (const auto& [name, value] : *hash) longest = std::max(longest, name.size());
  } else if (const auto* set = std::get_if<SetValue>(&mutation.record.value)) {
    for (const auto& name : *set) longest = std::max(longest, name.size());
  } else if (const auto* sorted = std::get_if<SortedSetValue>(&mutation.record.value)) {
    for (const auto& [score, name] : sorted->ordered()) longest = std::max(longest, name.size());
  }
  return std::string(longest + 1, '#');
}

void remove_sentinel(Record& record, const std::string& name) {
  if (auto* hash = std::get_if<HashValue>(&record.value)) hash->erase(name);
  if (auto* set = std::get_if<SetValue>(&record.value)) set->erase(name);
  if (auto* sorted = std::get_if<SortedSetValue>(&record.value)) sorted->erase(name);
}

// True for what keeps the bytes that are there.
bool needs_payload(const Mutation& mutation) {
  return mutation.kind == Mutation::Kind::expiry || mutation.kind == Mutation::Kind::stale ||
         mutation.kind == Mutation::Kind::doubt || mutation.kind == Mutation::Kind::placed ||
         mutation.kind == Mutation::Kind::shipped || mutation.kind == Mutation::Kind::merge;
}

// Element names are needed after apply(), to tell which keys to write; anything else may be moved
// out.
ApplyOutcome apply_to(Mutation& mutation, Row& row, std::int64_t wall_ms) {
  if (mutation.kind == Mutation::Kind::elements)
    return apply(std::as_const(mutation), row, wall_ms);
  return apply(std::move(mutation), row, wall_ms);
}

}  // namespace

void Batch::clear() {
  write_.Clear();
  changed_.clear();
  changed_bytes_ = 0;
  rows_.clear();
  elements_.clear();
}

void Batch::written() {
  for (const auto& [key, known] : rows_) headers_.put(key, known.row);
}

Result<Batch::KnownRow*> Batch::find(const std::string& key, bool payload) {
  const auto found = rows_.find(key);
  if (found != rows_.end() && (found->second.payload_known || !payload)) return &*found;
  // A payload is missing here only while the database still has it.
  if (found == rows_.end()) {
    std::optional<StoredRow> header = headers_.find(key);
    const bool enough = header && (!payload || !has_payload(header->meta.type));
    if (enough && !database_.may_be_gone(header->meta)) {
      const bool known = !has_payload(header->meta.type);
      return &*rows_.emplace(key, Known{std::move(*header), known}).first;
    }
  }
  Result<StoredRow> row = Rows(database_, info_.spaces).stored(key, payload);
  if (!row) return row.error();
  const bool known = payload || !has_payload(row->meta.type);
  return &*rows_.insert_or_assign(key, Known{std::move(*row), known}).first;
}

Result<std::optional<std::string>> Batch::element(const ElementCodec& codec,
                                                  const std::string& element_key) {
  const auto cached = elements_.find(element_key);
  if (cached != elements_.end()) return cached->second;
  return Rows(database_, info_.spaces).element(codec, element_key);
}

void Batch::set_form(StoredRow& row) const {
  const ValueCodec& values = database_.values();
  const bool has_value = row.meta.state == RowState::live && row.meta.type != ValueType::none;
  row.packed = has_value && values.packs();
  row.hashed = row.packed && values.seals() && is_collection(row.meta.type);
}

bool Batch::has_form(const StoredRow& row) const {
  StoredRow wanted;
  wanted.meta = row.meta;
  set_form(wanted);
  return row.packed == wanted.packed && row.hashed == wanted.hashed;
}

Result<Batch::Partial> Batch::partial(const std::string& key, const StoredRow& stored,
                                      const Mutation& mutation) {
  Partial out;
  out.row.meta = stored.meta;
  if (stored.meta.state != RowState::live) return out;
  out.row.record = empty_record(stored.meta.type);
  out.row.record.expires_at_ms = stored.meta.expires_at_ms;
  if (needs_payload(mutation)) {
    if (auto* text = std::get_if<std::string>(&out.row.record.value)) *text = stored.payload;
    if (auto* opaque = std::get_if<OpaqueValue>(&out.row.record.value))
      opaque->dump = stored.payload;
  }
  if (!is_collection(stored.meta.type)) return out;
  if (mutation.kind == Mutation::Kind::elements && !has_form(stored)) {
    // Stored anew, as a whole. None of it waits in this batch: that would have given it the form.
    const Result<void> read =
        Rows(database_, info_.spaces).read_elements(key, stored, out.row.record);
    if (!read) return read.error();
  } else if (mutation.kind == Mutation::Kind::elements && mutation.type == stored.meta.type) {
    const ElementCodec codec(database_.values(), key, stored);
    for (const ElementChange& change : mutation.elements) {
      const Result<std::optional<std::string>> bytes = element(codec, codec.key_of(change.name));
      if (!bytes) return bytes.error();
      if (!*bytes) continue;
      const Result<void> added =
          add_element(out.row.record, stored.meta.type, change.name, **bytes);
      if (!added) return added.error();
    }
  }
  const std::uint64_t found = size_of(out.row.record);
  if (found > stored.elements)
    return make_error(Errc::corrupt, "ledger: a collection's count is low");
  out.others = stored.elements - found;
  if (out.others == 0) return out;
  out.sentinel = sentinel_name(mutation);
  const Result<void> added =
      add_element(out.row.record, stored.meta.type, out.sentinel, encode_score(0));
  if (!added) return added.error();
  return out;
}

Result<void> Batch::check(const Mutation& mutation) {
  const std::string key = row_key(info_.spaces, mutation.key);
  const Result<KnownRow*> found = find(key, needs_payload(mutation));
  if (!found) return found.error();
  const Result<Partial> work = partial(key, (*found)->second.row, mutation);
  if (!work) return work.error();
  return {};
}

Result<ApplyResult> Batch::apply(Mutation& mutation, std::int64_t wall_ms) {
  const std::string key = row_key(info_.spaces, mutation.key);
  const Result<KnownRow*> found = find(key, needs_payload(mutation));
  if (!found) return found.error();
  const StoredRow& stored = (*found)->second.row;
  ApplyResult result;
  result.before = stored.meta;
  Result<Partial> work = partial(key, stored, mutation);
  if (!work) return work.error();
  const Hlc hlc = mutation.row_hlc();
  result.outcome = apply_to(mutation, work->row, wall_ms);
  if (result.outcome != ApplyOutcome::applied) return result;
  info_.highest_hlc = std::max(info_.highest_hlc, hlc);
  store(**found, *work, mutation);
  return result;
}

void Batch::put_element(const ElementCodec& codec, std::string_view name, std::string value) {
  const std::string element_key = codec.key_of(name);
  if (codec.packs()) {
    write_.Put(database_.elements(), element_key, codec.pack(element_key, name, value))
        .PermitUncheckedError();
  } else {
    write_.Put(database_.elements(), element_key, value).PermitUncheckedError();
  }
  elements_[element_key] = std::move(value);
}

void Batch::put_collection(const ElementCodec& codec, const Record& record) {
  if (const auto* hash = std::get_if<HashValue>(&record.value)) {
    for (const auto& [name, value] : *hash) put_element(codec, name, value);
  } else if (const auto* set = std::get_if<SetValue>(&record.value)) {
    for (const auto& name : *set) put_element(codec, name, {});
  } else if (const auto* sorted = std::get_if<SortedSetValue>(&record.value)) {
    for (const auto& [score, name] : sorted->ordered())
      put_element(codec, name, encode_score(score));
  }
}

// Elements go on in their generation when apply() only touched some of them, and in a new one when
// it made another collection (put, or a create over an ended row: compactions may already be
// dropping the elements of that one).
void Batch::store_elements(const std::string& key, StoredRow& next, const StoredRow& before,
                           Partial& after, const Mutation& mutation) {
  const bool same_row = before.meta.state == RowState::live && before.meta.type == next.meta.type &&
                        before.meta.incarnation == next.meta.incarnation;
  const bool others_stay =
      after.others == 0 || element_of(after.row.record, after.sentinel).has_value();
  const bool whole = mutation.kind == Mutation::Kind::put || mutation.kind == Mutation::Kind::value;
  const bool reshaped = mutation.kind == Mutation::Kind::elements && !has_form(before);
  if (whole || !same_row || !others_stay || reshaped) {
    next.generation = info_.next_generation++;
    next.elements = size_of(after.row.record);
    put_collection(ElementCodec(database_.values(), key, next), after.row.record);
    return;
  }
  next.generation = before.generation;
  next.packed = before.packed;
  next.hashed = before.hashed;
  if (!after.sentinel.empty()) remove_sentinel(after.row.record, after.sentinel);
  next.elements = after.others + size_of(after.row.record);
  const ElementCodec codec(database_.values(), key, next);
  std::set<std::string_view> done;
  for (const ElementChange& change : mutation.elements) {
    if (!done.insert(change.name).second) continue;
    std::optional<std::string> value = element_of(after.row.record, change.name);
    if (value) {
      put_element(codec, change.name, std::move(*value));
    } else {
      const std::string element_key = codec.key_of(change.name);
      write_.Delete(database_.elements(), element_key).PermitUncheckedError();
      elements_[element_key] = std::nullopt;
    }
  }
}

void Batch::store(KnownRow& known, Partial& after, const Mutation& mutation) {
  const std::string& key = known.first;
  const StoredRow& stored = known.second.row;
  StoredRow next;
  next.meta = after.row.meta;
  const bool live = next.meta.state == RowState::live;
  set_form(next);
  Record& record = after.row.record;
  if (live && is_collection(next.meta.type)) store_elements(key, next, stored, after, mutation);
  if (live) {
    if (auto* text = std::get_if<std::string>(&record.value)) next.payload = std::move(*text);
    if (auto* opaque = std::get_if<OpaqueValue>(&record.value))
      next.payload = std::move(opaque->dump);
  }
  const bool was_tomb = stored.meta.state == RowState::tomb;
  if (next.meta.state == RowState::tomb) {
    const TombEntry entry{next.meta.hlc, next.meta.tomb_until_ms};
    write_.Put(database_.tombs(), key, encode_tomb(entry)).PermitUncheckedError();
  } else if (was_tomb) {
    write_.Delete(database_.tombs(), key).PermitUncheckedError();
  }
  changed_bytes_ += key.size() + kRowHeaderBytes + next.payload.size();
  if (!known.second.changed) changed_.push_back(&known);
  known.second = Known{std::move(next), true, true};
}

void Batch::put_row(const std::string& key, const StoredRow& row) {
  if (row.meta == RowMeta{}) {
    write_.Delete(database_.meta(), key).PermitUncheckedError();
    return;
  }
  const RowHeader header = encode_row_header(row);
  std::string packed;
  if (row.packed && has_payload(row.meta.type)) {
    packed = database_.values().pack(row.payload, {"r", header.text(), key});
  }
  const Slice key_parts[] = {Slice(key)};
  const Slice value_parts[] = {Slice(header.bytes.data(), header.size),
                               Slice(packed.empty() ? row.payload : packed)};
  write_
      .Put(database_.meta(), rocksdb::SliceParts(key_parts, 1), rocksdb::SliceParts(value_parts, 2))
      .PermitUncheckedError();
}

Result<void> Batch::repack(const std::string& row_key) {
  const Result<KnownRow*> found = find(row_key, true);
  if (!found) return found.error();
  StoredRow next = (*found)->second.row;
  if (next.meta.state != RowState::live) return {};
  if (is_collection(next.meta.type)) {
    Record record = empty_record(next.meta.type);
    const Result<void> read = Rows(database_, info_.spaces).read_elements(row_key, next, record);
    if (!read) return read.error();
    set_form(next);
    next.generation = info_.next_generation++;
    put_collection(ElementCodec(database_.values(), row_key, next), record);
  }
  set_form(next);
  changed_bytes_ += row_key.size() + kRowHeaderBytes + next.payload.size();
  if (!(*found)->second.changed) changed_.push_back(*found);
  (*found)->second = Known{std::move(next), true, true};
  return {};
}

// A row changed often is written once; in key order, because RocksDB then walks the same path to
// each row's place as to the one before.
rocksdb::WriteBatch& Batch::finish() {
  std::sort(changed_.begin(), changed_.end(),
            [](const KnownRow* a, const KnownRow* b) { return a->first < b->first; });
  for (const KnownRow* row : changed_) put_row(row->first, row->second.row);
  changed_.clear();
  changed_bytes_ = 0;
  return write_;
}

}  // namespace stayd
