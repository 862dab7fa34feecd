#include "store/ledger/filters.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "store/ledger/keys.h"
#include "store/ledger/row_codec.h"
#include "store/ledger/tombs.h"

namespace stayd {
namespace {

using rocksdb::CompactionFilter;
using rocksdb::Slice;

std::string_view view(const Slice& slice) {
  return {slice.data(), slice.size()};
}

// 0 stands for "not told": such a tombstone stays until it is forgotten.
bool tomb_over(std::int64_t tomb_until_ms, std::int64_t wall_ms) {
  return tomb_until_ms != 0 && tomb_until_ms < wall_ms;
}

class RowFilter : public CompactionFilter {
 public:
  explicit RowFilter(FilterContext& context)
      : wall_ms_(context.judge_ms()), slack_ms_(context.expiry_slack_ms) {}
  const char* Name() const override { return "stayd.rows"; }
  bool Filter(int, const Slice&, const Slice& value, std::string*, bool*) const override {
    const Result<StoredRow> row = decode_row_header(view(value));
    if (!row) return false;  // never thrown away unseen: a read will name it
    return row_over(row->meta, wall_ms_, slack_ms_);
  }

 private:
  const std::int64_t wall_ms_;
  const std::int64_t slack_ms_;
};

class TombFilter : public CompactionFilter {
 public:
  explicit TombFilter(const FilterContext& context) : wall_ms_(context.wall_ms()) {}
  const char* Name() const override { return "stayd.tombs"; }
  bool Filter(int, const Slice&, const Slice& value, std::string*, bool*) const override {
    const std::optional<TombEntry> entry = decode_tomb(view(value));
    return entry && tomb_over(entry->tomb_until_ms, wall_ms_);
  }

 private:
  const std::int64_t wall_ms_;
};

class ElementFilter : public CompactionFilter {
 public:
  explicit ElementFilter(std::shared_ptr<const SyncedRows> rows) : rows_(std::move(rows)) {}
  const char* Name() const override { return "stayd.elements"; }

  bool Filter(int, const Slice& key, const Slice&, std::string*, bool*) const override {
    ElementKey parsed = parse_element_key(view(key));
    if (!parsed.valid || parsed.generation >= rows_->next_generation) return false;
    if (parsed.row_key != last_key_) {
      look_up(parsed.row_key);
      last_key_ = std::move(parsed.row_key);
    }
    return last_known_ && parsed.generation != last_generation_;
  }

 private:
  // Sets `last_generation_` to 0, which no element has, when the row is gone.
  void look_up(const std::string& row_key) const {
    rocksdb::ReadOptions options;
    options.snapshot = rows_->snapshot->snapshot();
    options.fill_cache = false;
    rocksdb::PinnableSlice value;
    const rocksdb::Status status = rows_->db->Get(options, rows_->meta, row_key, &value);
    last_generation_ = 0;
    last_known_ = status.IsNotFound();
    if (!status.ok()) return;
    const Result<StoredRow> row = decode_row_header(view(value));
    if (!row) return;
    last_known_ = true;
    last_generation_ = row->generation;
  }

  const std::shared_ptr<const SyncedRows> rows_;
  mutable std::string last_key_;
  mutable std::uint64_t last_generation_ = 0;
  mutable bool last_known_ = false;
};

template <class Make>
class Factory : public rocksdb::CompactionFilterFactory {
 public:
  Factory(const char* name, Make make) : name_(name), make_(std::move(make)) {}
  const char* Name() const override { return name_; }
  std::unique_ptr<CompactionFilter> CreateCompactionFilter(
      const CompactionFilter::Context&) override {
    return make_();
  }

 private:
  const char* name_;
  Make make_;
};

template <class Make>
std::shared_ptr<rocksdb::CompactionFilterFactory> make_factory(const char* name, Make make) {
  return std::make_shared<Factory<Make>>(name, std::move(make));
}

}  // namespace

bool row_over(const RowMeta& meta, std::int64_t wall_ms, std::int64_t expiry_slack_ms) {
  if (meta.state == RowState::tomb) return tomb_over(meta.tomb_until_ms, wall_ms);
  const std::int64_t until_ms = std::max(meta.expires_at_ms, meta.tomb_until_ms);  // up to 2^63 - 1
  return meta.state == RowState::live && meta.expires_at_ms != 0 &&
         until_ms < wall_ms - expiry_slack_ms;
}

std::shared_ptr<rocksdb::CompactionFilterFactory> make_row_filter(FilterContext& context) {
  return make_factory("stayd.rows", [&context]() -> std::unique_ptr<CompactionFilter> {
    return std::make_unique<RowFilter>(context);
  });
}

std::shared_ptr<rocksdb::CompactionFilterFactory> make_tomb_filter(FilterContext& context) {
  return make_factory("stayd.tombs", [&context]() -> std::unique_ptr<CompactionFilter> {
    return std::make_unique<TombFilter>(context);
  });
}

std::shared_ptr<rocksdb::CompactionFilterFactory> make_element_filter(FilterContext& context) {
  return make_factory("stayd.elements", [&context]() -> std::unique_ptr<CompactionFilter> {
    std::shared_ptr<const SyncedRows> rows = context.synced();
    if (rows == nullptr) return nullptr;
    return std::make_unique<ElementFilter>(std::move(rows));
  });
}

}  // namespace stayd
