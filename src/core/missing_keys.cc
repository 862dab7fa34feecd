#include "core/missing_keys.h"

#include "base/info.h"
#include "core/side_keys.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {
constexpr std::int64_t kDeadlineMs = 1000;
}

void MissingKeys::ask(std::uint64_t tag, const FullKey& key, const RowMeta& meta) {
  const int db = db_of(key);
  if (memory_.last_canary(db).empty()) return events_.on_fate(tag, Fate::lost);
  const std::uint64_t reply_tag = generation_ << 32 | asked_.size() << 1;
  asked_.push_back({tag, key, meta});
  const auto deadline_us = c_.deadline_us(kDeadlineMs);
  request_.clear();
  append_request(request_, {"GET", c_.canary_name()});
  c_.upstream->send(request_, db, *this, reply_tag, deadline_us);
  request_.clear();
  append_request(request_, {"INFO", "stats"});
  c_.upstream->send(request_, db, *this, reply_tag | 1, deadline_us);
}

void MissingKeys::forget() {
  ++generation_;
  asked_.clear();
}

void MissingKeys::on_upstream_reply(std::uint64_t reply_tag, std::string_view frame) {
  if (reply_tag >> 32 != generation_) return;
  Asked& one = asked_[(reply_tag & 0xffffffff) >> 1];
  const ReplyView reply(frame);
  if ((reply_tag & 1) == 0) {
    const bool intact = reply.text() == memory_.last_canary(db_of(one.key));
    one.heartbeat = intact ? Fate::removed : Fate::other_memory;
    if (reply.is_error()) one.heartbeat = Fate::refused;
    return;
  }
  const std::uint64_t tag = one.tag;  // on_fate() may ask, or forget
  if (one.heartbeat != Fate::removed) return events_.on_fate(tag, one.heartbeat);
  if (reply.is_error()) return events_.on_fate(tag, Fate::refused);
  const auto evicted_keys = info_number(reply.text(), "evicted_keys");
  const bool lost = memory_.was_lost(one.key, one.meta, evicted_keys);
  events_.on_fate(tag, lost ? Fate::lost : Fate::removed);
}

}  // namespace stayd
