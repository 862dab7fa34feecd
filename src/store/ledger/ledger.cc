#include "store/ledger/ledger.h"

#include <fmt/format.h>

#include <utility>

#include "store/ledger/at_rest.h"
#include "store/ledger/worker.h"

namespace stayd {

namespace {

// What RocksDB may write while it opens, a few files of some KB, and more. Where it finds no room
// in the midst of it, an assertion of its own can end the process.
constexpr std::uint64_t kRoomToOpen = std::uint64_t{1} << 20;

// The ballast goes first: a stayd that starts on a full disk still takes logouts.
Result<void> make_room(Folder& folder) {
  if (folder.free_bytes() >= kRoomToOpen) return {};
  folder.drop_ballast();
  const std::uint64_t free = folder.free_bytes();
  if (free >= kRoomToOpen) return {};
  return make_error(Errc::no_space,
                    fmt::format("ledger: the disk of {} is full: {} KB are free, and a start needs "
                                "{} KB: make room",
                                folder.path(), free / 1024, kRoomToOpen / 1024));
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(LedgerOptions options, Waker& waker) {
  if (!options.wall_ms) return make_error(Errc::invalid, "ledger: no clock given");
  Result<Folder> folder = Folder::open(options.path, options.create);
  if (!folder) return folder.error();
  const Result<void> room = make_room(*folder);
  if (!room) return room.error();
  Result<std::unique_ptr<Database>> database =
      Database::open(options, folder->database_path(), Database::Mode::write);
  if (!database) return database.error();
  const Result<LedgerInfo> info = (*database)->read_info();
  if (!info) return info.error();
  const Result<void> unlocked = set_up_at_rest(**database, *folder, options.at_rest);
  if (!unlocked) return unlocked.error();
  Facts facts = (*database)->read_facts();
  auto worker =
      std::make_unique<Worker>(options, std::move(*folder), std::move(*database), *info, waker);
  return std::unique_ptr<Ledger>(
      new Ledger(std::move(options), std::move(facts), std::move(worker)));
}

Ledger::Ledger(LedgerOptions options, Facts facts, std::unique_ptr<Worker> worker)
    : wall_ms_(std::move(options.wall_ms)),
      facts_(std::move(facts)),
      in_flight_file_(options.path + "/inflight", InFlightTable::kBytes),
      worker_(std::move(worker)) {}

Ledger::~Ledger() {
  close();
}

void Ledger::close() {
  if (closed_) return;
  submit();
  closed_ = true;
  worker_->stop();
}

void Ledger::apply(std::vector<Change> changes, Durability durability) {
  if (changes.empty()) return;
  gathered_.emplace_back(ApplyGroup{std::move(changes), durability, wall_ms_()});
}

void Ledger::apply_one(Mutation mutation, StoreToken token, Durability durability) {
  gathered_.emplace_back(ApplyOne{{std::move(mutation), token}, durability, wall_ms_()});
}

void Ledger::load(FullKey key, StoreToken token) {
  gathered_.emplace_back(LoadOne{std::move(key), token, false});
}

void Ledger::load_meta(FullKey key, StoreToken token) {
  gathered_.emplace_back(LoadOne{std::move(key), token, true});
}

void Ledger::scan(ScanQuery query, StoreToken token) {
  gathered_.emplace_back(ScanOne{std::move(query), token, wall_ms_()});
}

void Ledger::flush(int db, Hlc hlc, std::shared_ptr<const SlotSet> slots, StoreToken token) {
  gathered_.emplace_back(FlushOne{db, hlc, std::move(slots), token});
}

void Ledger::swap_databases(int a, int b, StoreToken token) {
  STAYD_ASSERT(a >= 0 && a < kDatabases && b >= 0 && b < kDatabases);
  gathered_.emplace_back(SwapOne{a, b, token});
}

void Ledger::rekey(AtRestOptions at_rest, std::function<void(const Error&)> done) {
  gathered_.emplace_back(RekeyOne{std::move(at_rest), std::move(done)});
}

void Ledger::put_fact(std::string name, std::string value) {
  facts_[name] = value;
  gathered_.emplace_back(FactOne{std::move(name), std::move(value)});
}

std::string Ledger::fact(std::string_view name) const {
  const auto found = facts_.find(name);
  return found == facts_.end() ? std::string() : found->second;
}

Hlc Ledger::highest_hlc() const {
  return worker_->highest_hlc();
}

void Ledger::submit() {
  if (closed_) gathered_.clear();
  if (!gathered_.empty()) worker_->post(gathered_);
}

void Ledger::deliver() {
  for (Report& report : worker_->take_reports()) {
    if (auto* row = std::get_if<Row>(&report.result)) {
      events_->on_loaded(report.token, report.error, std::move(*row));
    } else if (auto* page = std::get_if<ScanPage>(&report.result)) {
      events_->on_scanned(report.token, report.error, std::move(*page));
    } else if (auto* rekeyed = std::get_if<Rekeyed>(&report.result)) {
      rekeyed->done(report.error);
    } else {
      events_->on_applied(report.token, report.error, std::get<ApplyResult>(report.result));
    }
  }
}

StoreStats Ledger::stats() const {
  StoreStats out = worker_->stats();
  out.queued += gathered_.size();
  return out;
}

}  // namespace stayd
