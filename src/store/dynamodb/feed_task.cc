// A page of the feed: the head and the hosts; then the index, in each shard of which something has
// changed; then the rows that it names.
//
// What is new since a snapshot is what its head called under way, or had given no number yet. Rows
// of a batch under way are shown, too: what they have replaced is no longer there to be shown.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "store/dynamodb/batch_get.h"
#include "store/dynamodb/feed_cursor.h"
#include "store/dynamodb/table.h"
#include "store/dynamodb/task.h"

namespace stayd::dynamo {
namespace {

constexpr std::int64_t kBusyPauseUs = 50'000;
constexpr std::uint64_t kEverything = std::uint64_t{1} << 63;

struct Place {  // in the order of the feed
  std::uint64_t change = 0;
  FullKey key;
  friend auto operator<=>(const Place&, const Place&) = default;
};

// Numbers of one shard that are to be looked for.
struct Range {
  int shard = 0;
  std::uint64_t from = 0, to = 0;  // both included
  json::object after;              // go on behind this; empty: at `from`
};

class FeedTask final : public Task {
 public:
  FeedTask(const FeedRequest& request, Context context)
      : context_(context),
        limit_(std::clamp<std::size_t>(request.limit, 1, 100'000)),
        rows_(context.table(), true) {
    auto place = parse_place(request.after);
    if (place && place->position.epoch == context.session.epoch) {
      from_ = std::move(place->position);
      shown_ = std::move(place->base);
      marks_ = std::move(place->target);
    }
    from_.epoch = context.session.epoch;
  }

  Result<std::optional<std::vector<Request>>> next(std::vector<Answer>& answers) override {
    if (const auto error = first_error(answers)) return *error;
    pause_us = 0;
    switch (step_) {
      case Step::begin:
        step_ = Step::head;
        return std::optional(first_requests());
      case Step::head: {
        const Result<void> taken = take_head(answers);
        if (!taken) return taken.error();
        if (again) return std::optional<std::vector<Request>>();
        step_ = Step::index;
        break;
      }
      case Step::index: {
        const Result<void> taken = take_index(answers);
        if (!taken) return taken.error();
        break;
      }
      case Step::rows: {
        const Result<void> taken = rows_.take(answers);
        if (!taken) return taken.error();
        if (rows_.stuck()) pause_us = kBusyPauseUs;
        break;
      }
    }
    if (step_ == Step::index) {
      if (!ranges_.empty() && (is_exact(ranges_.front()) || !enough())) {
        return std::optional(index_requests());
      }
      choose();
      step_ = Step::rows;
    }
    return row_requests();
  }

  Result<BackupResult> finish() override {
    if (again) return BackupResult(FeedPage());
    std::vector<BackupRow>& rows = page_.rows;
    std::set<std::string_view> shown;
    for (std::size_t i = 0; i < asked_; ++i) {
      const FullKey& key = places_[i].key;
      const json::object* item = rows_.find(key);
      if (item == nullptr || !shown.insert(key).second) continue;  // purged; changed in between
      rows.push_back(stored_row(key, item, &context_.values).row);
    }
    // Some have changed since the index was read.
    std::ranges::sort(rows, [](const BackupRow& a, const BackupRow& b) {
      return std::tie(a.change, a.key) < std::tie(b.change, b.key);
    });
    const bool full = asked_ < places_.size() || cut_;
    // Later pages do not show the rows that have changed since the first one: the next round does.
    page_.more = full || from_.target;
    if (page_.more) page_.hosts.reset();
    if (full) {
      page_.complete_to = from_.base ? from_.base->xmin - 1 : 0;
      const Place& last = places_[asked_ - 1];
      page_.next =
          place_text({{from_.epoch, from_.base, target_, last.change, last.key}, shown_, marks_});
    } else {
      page_.complete_to = target_.xmin - 1;
      page_.next = place_text({{from_.epoch, target_, std::nullopt, 0, ""}, marks_, {}});
    }
    return BackupResult(std::move(page_));
  }

 private:
  enum class Step : std::uint8_t { begin, head, index, rows };

  // Hosts come before the rows: whatever was committed before an entry is among these.
  std::vector<Request> first_requests() const {
    std::vector<Request> out;
    out.push_back(get_item(context_.table(), head_key()));
    if (!from_.target) out.push_back(query_hosts(context_.table()));
    return out;
  }

  Result<void> take_head(const std::vector<Answer>& answers) {
    const Result<Head> head = head_of(item_in(answers.at(0)));
    if (!head) return head.error();
    const Snapshot now = cut(snapshot_of(*head, context_.service.wall_ms()), kMaxMarked);
    // It has seen more than there is: the table has been put back behind our back.
    if (from_.base && from_.base->xmax > head->last + 1) again = FeedCursor();
    if (from_.target && from_.target->xmax > head->last + 1) again = FeedCursor();
    target_ = from_.target ? *from_.target : now;
    if (!from_.target) take_hosts(answers.at(1));
    is_under_way_.insert(target_.under_way.begin(), target_.under_way.end());
    if (!again) find_ranges(*head);
    return {};
  }

  void take_hosts(const Answer& answer) {
    BackupHosts& hosts = page_.hosts.emplace();
    hosts.clock_ms = context_.service.wall_ms();
    for (const json::value& item : items_in(answer)) {
      auto host = item.is_object() ? host_of(item.get_object()) : std::nullopt;
      if (host && host->seen_ms > hosts.clock_ms - kHostSeenMs) {
        hosts.clock_ms = std::max(hosts.clock_ms, host->seen_ms);
        hosts.hosts.push_back(std::move(*host));
      }
    }
    std::ranges::sort(hosts.hosts, {}, &BackupHost::instance);
    // An answer of 1 MB is thousands of hosts, of which some are missing: better none at all.
    if (answer.body.contains("LastEvaluatedKey")) page_.hosts.reset();
  }

  // Those of one number first: of what was under way, all is to be known.
  void find_ranges(const Head& head) {
    const std::uint64_t begin = from_.base ? from_.base->xmax : 0;
    const std::uint64_t end = from_.target ? from_.target->xmax - 1 : kEverything;
    const std::uint64_t least = from_.target ? from_.change : 0;
    for (const std::uint64_t number :
         from_.base ? from_.base->under_way : std::vector<std::uint64_t>()) {
      if (from_.target && (number < least || is_old(number))) continue;
      if (!from_.target) marks_[number] = kNoKeys;
      for (int shard = 0; shard < kShards; ++shard) {
        if (may_write(head, number, shard)) add_range(shard, number, number);
      }
    }
    for (int shard = 0; shard < kShards; ++shard) {
      if (head.shards[static_cast<std::size_t>(shard)] >= begin) {
        add_range(shard, std::max(begin, least), end);
      }
    }
  }
  bool is_exact(const Range& range) const { return range.from == range.to; }
  // It has not gone on since it was shown.
  bool is_old(std::uint64_t number) const {
    const auto mark = marks_.find(number);
    const auto before = shown_.find(number);
    return is_under_way_.contains(number) && mark != marks_.end() && before != shown_.end() &&
           before->second != 0 && mark->second == before->second;
  }
  void add_range(int shard, std::uint64_t from, std::uint64_t to) {
    if (from <= to) ranges_.push_back({shard, from, to, {}});
  }
  static bool may_write(const Head& head, std::uint64_t number, int shard) {
    for (const auto& [batch, one] : head.under_way) {
      if (one.number == number) return (one.shards >> shard & 1) != 0;
    }
    return true;  // it has ended; where it wrote is forgotten
  }

  std::vector<Request> index_requests() const {
    std::vector<Request> out;
    for (const Range& range : ranges_) {
      Request request{"Query", {}, {}};
      json::object& body = request.body;
      body.emplace("TableName", context_.table());
      body.emplace("IndexName", kIndex);
      body.emplace("ConsistentRead", true);
      body.emplace("KeyConditionExpression", "p = :p AND c BETWEEN :from AND :to");
      body.emplace("ExpressionAttributeValues",
                   json::object{{":p", text_value(shard_name(range.shard))},
                                {":from", number_value(range.from)},
                                {":to", number_value(range.to)}});
      // One more than what is left out: rows of the last change that were shown before it.
      body.emplace("Limit", std::min<std::size_t>(limit_ + 1 + kMaxBackupBatch, 5'000));
      if (!range.after.empty()) body.emplace("ExclusiveStartKey", range.after);
      out.push_back(std::move(request));
    }
    return out;
  }

  Result<void> take_index(const std::vector<Answer>& answers) {
    std::vector<Range> left;
    bound_ = {kEverything, ""};
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      Place last;
      for (const json::value& item : items_in(answers.at(i))) {
        const json::object* object = item.if_object();
        const auto change =
            object != nullptr ? number_at<std::uint64_t>(*object, "c") : std::nullopt;
        auto key = object != nullptr ? row_key_of(*object) : std::nullopt;
        if (!change || !key) {
          return make_error(Errc::corrupt, "backup: an entry of the index does not read");
        }
        last = {*change, std::move(*key)};
        if (!from_.target && is_exact(ranges_[i])) {
          marks_[last.change] = add_mark(marks_[last.change], last.key);
        }
        const bool shown = from_.target && last <= Place{from_.change, from_.key};
        if (!shown) places_.push_back(last);
      }
      const json::value* after = answers.at(i).body.if_contains("LastEvaluatedKey");
      if (after == nullptr) continue;
      if (!after->is_object() || last.key.empty()) {
        return make_error(Errc::corrupt, "backup: a page of the index does not read");
      }
      // Of one change it comes in the order of the index, which may be another one.
      bound_ = std::min(bound_, Place{last.change, ""});
      left.push_back(ranges_[i]);
      left.back().after = after->get_object();
    }
    ranges_ = std::move(left);
    return {};
  }

  // What is known completely is enough for a page.
  bool enough() const {
    const auto known =
        std::ranges::count_if(places_, [this](const Place& one) { return one < bound_; });
    return static_cast<std::size_t>(known) > limit_;
  }

  // The places of the page come first.
  void choose() {
    std::erase_if(places_, [this](const Place& one) {
      return from_.base && one.change < from_.base->xmax && is_old(one.change);
    });
    if (!ranges_.empty()) {
      std::erase_if(places_, [this](const Place& one) { return !(one < bound_); });
      cut_ = true;
    }
    std::ranges::sort(places_);
    // A key that changed in between stands in two ranges' answers.
    std::vector<Place> once;
    for (Place& one : places_) {
      if (once.empty() || once.back() != one) once.push_back(std::move(one));
    }
    places_ = std::move(once);
    wanted_ = std::min(limit_, places_.size());
  }

  // A few at a time, until the page is full of bytes. One row's key may stand there twice.
  Result<std::optional<std::vector<Request>>> row_requests() {
    if (!rows_.done()) return std::optional(rows_.next());
    if (asked_ == wanted_ || rows_.bytes() / 4 * 3 >= kMaxBackupBytes) {
      return std::optional<std::vector<Request>>();
    }
    std::vector<FullKey> keys;
    for (std::size_t i = 0; i < 400 && asked_ < wanted_; ++i) keys.push_back(places_[asked_++].key);
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    for (const FullKey& key : keys) {
      if (rows_.find(key) == nullptr) rows_.want(key);
    }
    if (rows_.done()) return row_requests();
    return std::optional(rows_.next());
  }

  const Context context_;
  const std::size_t limit_;
  CursorPosition from_;
  Snapshot target_;
  std::set<std::uint64_t> is_under_way_;  // in target_
  Marks shown_;                           // of what was under way in from_.base
  Marks marks_;                           // ... and what this round shows of it
  Step step_ = Step::begin;
  std::vector<Range> ranges_;     // still to be read
  Place bound_{kEverything, ""};  // below it, everything has been read
  std::vector<Place> places_;
  bool cut_ = false;
  std::size_t wanted_ = 0, asked_ = 0;  // of places_
  BatchGet rows_;
  FeedPage page_;
};

}  // namespace

std::unique_ptr<Task> make_feed_task(const FeedRequest& request, Context context) {
  return std::make_unique<FeedTask>(request, context);
}

}  // namespace stayd::dynamo
