// Engine: commands that look over keys (KEYS, SCAN, DBSIZE, RANDOMKEY), flushes, and commands of
// the server itself. While Redis is not trusted the ledger answers; an empty list is never a guess.
#include <algorithm>
#include <charconv>
#include <utility>

#include "core/engine.h"
#include "core/side_keys.h"
#include "resp/request_parser.h"
#include "session/effects.h"
#include "session/scan_options.h"

namespace stayd {

namespace {

constexpr std::uint64_t kLedgerCursorBit = std::uint64_t{1} << 63;
constexpr std::size_t kMaxCursors = 1024;
constexpr std::size_t kPage = 1024;

std::uint64_t cursor_of(const Args& args) {
  std::uint64_t cursor = 0;
  if (args.size() > 1) parse_scan_cursor(args[1], cursor);
  return cursor;
}

std::string_view type_name(ValueType type) {
  switch (type) {
    case ValueType::string:
      return "string";
    case ValueType::hash:
      return "hash";
    case ValueType::set:
      return "set";
    case ValueType::zset:
      return "zset";
    default:
      return "list";
  }
}

}  // namespace

void Engine::submit_keyless(Call& call) {
  if (call.spec->name == "client|unblock") return unblock(call);
  const auto tag = reinterpret_cast<std::uintptr_t>(&call);
  switch (call.spec->handling) {
    case Handling::keyspace: {
      const bool owed =
          !c_.debts.empty() && adopter_.complete();  // Redis lacks keys, or has too many
      if ((!shard_.trusted() || owed) && !c_.options.observe) return scan_ledger(call);
      if (aux_ == nullptr || !aux_->up()) return fail_unavailable(call);
      call.stage = static_cast<std::uint8_t>(Stage::aux);
      const bool ours = call.spec->name == "scan" && (cursor_of(call.args) & kLedgerCursorBit) != 0;
      if (call.spec->name == "dbsize") return send_dbsize(call);
      if (!ours) return aux_->send(call.raw, call.db, *this, tag, slow_deadline_us(), 1);
      Args args =
          call.args;  // a scan begun on the ledger starts over on Redis: SCAN may repeat keys
      args[1] = "0";
      request_.clear();
      append_request(request_, args);
      return aux_->send(request_, call.db, *this, tag, slow_deadline_us(), 1);
    }
    case Handling::flush:
      return start_flush(call);
    case Handling::pubsub:
      if (!c_.up()) return fail_unavailable(call);
      call.stage = static_cast<std::uint8_t>(Stage::passthrough);
      return c_.upstream->send(call.raw, call.db, *this, tag, slow_deadline_us(), 1);
    default:
      if (call.spec->handling == Handling::script && call.writes()) note_unmirrored(call);
      if (aux_ == nullptr || !aux_->up()) return fail_unavailable(call);
      call.stage = static_cast<std::uint8_t>(Stage::aux);
      return aux_->send(call.raw, call.db, *this, tag, slow_deadline_us(), 1);
  }
}

// A script that names no key may have written any. Said once: it is the same script again, mostly.
void Engine::note_unmirrored(const Call& call) {
  ++c_.counters.unmirrored_scripts;
  absences_.clear();
  if (std::exchange(told_unmirrored_, true)) return;
  const auto text = call.args.size() > 1 ? call.args[1].substr(0, 80) : std::string_view();
  c_.events.on_event(
      {Severity::warning,
       "unmirrored_script",
       "a script without keys was run: sessions that it writes are not in the ledger",
       {{"script", std::string(text)}}});
}

// With how many of stayd's own keys are among them, as one.
void Engine::send_dbsize(Call& call) {
  request_.clear();
  append_request(request_, {"MULTI"});
  append_request(request_, {"EXISTS", shard_.canary_name(), instances_key(c_.place),
                            wait_key(c_.place, c_.instance)});
  request_.append(call.raw);
  append_request(request_, {"EXEC"});
  aux_->send(request_, call.db, *this, reinterpret_cast<std::uintptr_t>(&call), slow_deadline_us(),
             4);
}

// The reply of a keyspace command without stayd's own keys.
std::string Engine::without_side_keys(const Call& call, std::string_view frame) const {
  const ReplyView reply(frame);
  std::string out;
  if (reply.is_error()) return std::string(frame);
  if (call.spec->name == "dbsize") {
    auto counts = reply.elements();
    ReplyView side;
    ReplyView all;
    if (!counts.next(side) || !counts.next(all)) return std::string(frame);
    write_integer(out, all.integer().value_or(0) - side.integer().value_or(0));
    return out;
  }
  if (call.spec->name == "randomkey") {
    if (!is_side_key(reply.text())) return std::string(frame);
    write_null(out);
    return out;
  }
  const bool scan = call.spec->name == "scan";
  ReplyView keys = reply;
  ReplyView cursor;
  if (scan) {
    auto parts = reply.elements();
    parts.next(cursor);
    parts.next(keys);
    write_array(out, 2);
    write_bulk(out, cursor.text());
  }
  std::vector<std::string_view> visible;
  auto elements = keys.elements();
  ReplyView key;
  while (elements.next(key)) {
    if (!is_side_key(key.text()) && c_.place.owns(key.text())) visible.push_back(key.text());
  }
  write_array(out, visible.size());
  for (const auto one : visible) write_bulk(out, one);
  return out;
}

// --- from the ledger

void Engine::scan_ledger(Call& call) {
  const bool scan = call.spec->name == "scan";
  ScanOptions options;
  std::uint64_t cursor = 0;
  if (scan) {
    std::string_view error = kInvalidCursor;
    if (parse_scan_cursor(call.args[1], cursor)) {
      error = parse_scan_options(call.args, 2, true, options);
    }
    if (!error.empty()) return complete(call, "-" + std::string(error) + "\r\n");
  }
  if (!adopter_.complete()) {
    ++c_.counters.unknown_replies;
    return complete(call, "-ERR stayd: Redis is out and not every key is known yet\r\n");
  }
  ScanQuery query;
  query.db = call.db;
  query.limit = kPage;
  call.held.clear();
  call.removed = 0;
  if (scan) {
    const auto it = cursors_.find(cursor);
    if (it != cursors_.end()) query.after = it->second;
    query.limit = std::min(static_cast<std::size_t>(options.count), kPage);
  }
  c_.store.scan(std::move(query), c_.ops.token(*this, sub(call, SubKind::page, 0)));
}

void Engine::on_scanned(std::uint64_t tag, const Error& error, ScanPage page) {
  Call& call = *take_sub(tag).call;
  if (!error.message.empty()) return fail_unavailable(call);
  on_ledger_page(call, std::move(page));
}

void Engine::on_ledger_page(Call& call, ScanPage page) {
  const auto& name = call.spec->name;
  const bool scan = name == "scan";
  ScanOptions options;
  if (scan) parse_scan_options(call.args, 2, true, options);
  if (name == "keys") options.pattern = call.args[1];
  for (const ScanEntry& entry : page.entries) {
    const auto key = key_of(entry.key);
    if (!options.match(key)) continue;
    if (options.type && !equals_ignore_case(*options.type, type_name(entry.meta.type))) continue;
    ++call.removed;
    if (name != "dbsize") write_bulk(call.held, key);
    if (name == "randomkey") break;
  }
  const bool more = !page.done && !scan && !(name == "randomkey" && call.removed > 0);
  if (more) {
    ScanQuery query;
    query.db = call.db;
    query.limit = kPage;
    query.after = std::move(page.next);
    c_.store.scan(std::move(query), c_.ops.token(*this, sub(call, SubKind::page, 0)));
    return;
  }
  ++c_.counters.replies_from_ledger;
  std::string reply;
  if (name == "dbsize") {
    write_integer(reply, call.removed);
  } else if (name == "randomkey") {
    reply = call.held;
    if (call.removed == 0) write_null(reply);
  } else {
    if (scan) {
      std::uint64_t cursor = 0;
      if (!page.done) {
        if (cursors_.size() >= kMaxCursors) cursors_.erase(cursors_.begin());
        cursor = kLedgerCursorBit | ++next_cursor_;
        cursors_[cursor] = std::move(page.next);
      }
      write_array(reply, 2);
      write_bulk(reply, std::to_string(cursor));
    }
    write_array(reply, call.removed);
    reply += call.held;
  }
  complete(call, reply);
}

// --- R18: flushes are meant

void Engine::start_flush(Call& call) {
  if (c_.fleet != nullptr) {
    return complete(
        call, "-ERR stayd: FLUSHALL, FLUSHDB and SWAPDB do not go with a shared backup yet\r\n");
  }
  if (!shard_.trusted() || !c_.up()) {
    return complete(call, "-ERR stayd: Redis is out, it cannot be flushed now\r\n");
  }
  call.stage = static_cast<std::uint8_t>(Stage::flush);
  const bool swap = call.spec->name == "swapdb";
  const int db = call.spec->name == "flushall" ? -1 : call.db;
  call.hlc = c_.hlc.next(c_.now.wall_ms);
  c_.upstream->send(call.raw, call.db, *this, reinterpret_cast<std::uintptr_t>(&call),
                    slow_deadline_us(), 1);
  if (swap) return shard_.on_swap_sent(slow_deadline_us());
  shard_.on_flush_sent(db, slow_deadline_us());
}

void Engine::on_flush(Call& call, std::string_view frame) {
  if (ReplyView(frame).is_error() || c_.options.observe) return complete(call, frame);
  if (call.spec->name == "swapdb") {
    int a = 0;
    int b = 0;
    std::from_chars(call.args[1].data(), call.args[1].data() + call.args[1].size(), a);
    std::from_chars(call.args[2].data(), call.args[2].data() + call.args[2].size(), b);
    c_.store.swap_databases(a, b, 0);
    shard_.swap_canaries(a, b);
    absences_.clear();
  } else {
    const int db = call.spec->name == "flushall" ? -1 : call.db;
    shard_.note_flush(db, call.hlc);
    c_.debts.forget_database(db);
    call.held.assign(frame);
    call.stage = static_cast<std::uint8_t>(Stage::recording);
    // Everything sent before the flush has been recorded by now: replies come in order.
    c_.store.flush(db, call.hlc, nullptr, store_token(call, SubKind::marked, 0));
    c_.cache.clear();
    ++c_.counters.replies_from_redis;
    return;
  }
  c_.cache.clear();
  ++c_.counters.replies_from_redis;
  complete(call, frame);
}

void Engine::on_redis_is_truth(std::string_view why) {
  Event event{Severity::warning,
              "redis_is_truth",
              "the ledger starts anew from what Redis holds: " + std::string(why),
              {{"redis", c_.options.address}}};
  if (!c_.place.everything()) event.fields.emplace_back("slots", slot_ranges(*c_.place.slots()));
  c_.events.on_event(event);
  ++truths_;
  c_.cache.clear();
  if (c_.place.everything()) c_.unrecorded.clear();
  replica_reads_.on_ledger_anew();
  adopter_.restart();  // first: an empty ledger must never say that it knows every key
  // Of a shard of a Cluster: its own rows that stood there before this life. What another shard
  // knows of its memory it finds out for itself, and may still owe it.
  c_.store.flush(-1, c_.place.everything() ? c_.hlc.next(c_.now.wall_ms) : shard_.void_top() + 1,
                 nullptr, 0);
  // What was logged out in this life, and is in memory only, stays so.
  for (auto& [key, hlc] : c_.unwritten_tombs) hlc = c_.hlc.next(c_.now.wall_ms);
}

}  // namespace stayd
