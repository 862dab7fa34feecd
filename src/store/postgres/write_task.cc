// A batch of writes. A statement can change each key once, so a key that is named again waits for
// the next round; all rounds are one transaction. In each round: puts, creates (expected: none),
// changes (everything that looks at the row there), and then what was not written. At the end the
// host, and what undoes it all where it is all or nothing.
#include <algorithm>
#include <map>
#include <utility>

#include "store/backup/apply_write.h"
#include "store/backup/stored_value.h"
#include "store/postgres/statements.h"
#include "store/postgres/task.h"
#include "store/record_codec.h"

namespace stayd {
namespace {

using Kind = BackupWrite::Kind;
using Indices = std::vector<std::size_t>;  // of writes

enum class Step { put, create, change, unwritten };
constexpr const char* kStatements[] = {"put", "create", "change", "unwritten"};

// A burial is a create where there is no row, and a change of one.
bool takes(const BackupWrite& write, Step step) {
  if (write.kind == Kind::bury) return step == Step::create || step == Step::change;
  if (write.kind == Kind::touch) return step == Step::change;
  if (!write.expected) return step == Step::put;
  return step == (*write.expected == Version{} ? Step::create : Step::change);
}

// `expected` as two columns; no row has the hlc -2.
std::pair<std::int64_t, std::uint64_t> expected_of(const BackupWrite& write) {
  if (!write.expected) return {-1, 0};
  if (*write.expected == Version{}) return {-2, 0};
  return {static_cast<std::int64_t>(write.expected->hlc), write.expected->origin};
}

// The columns of a batch.
class Columns {
 public:
  explicit Columns(ValueCodec& values) : values_codec_(values) {}

  void add(const BackupWrite& write) {
    const BackupRow& row = write.row;
    const bool live = row.state == RowState::live;
    const bool put = write.kind != Kind::touch;
    keys_.add_bytes(row.key);
    incarnations_.add_int8(row.incarnation);
    states_.add_int2(static_cast<std::int16_t>(row.state));
    through_redis_.add_bool(row.through_redis);
    hlcs_.add_int8(static_cast<std::int64_t>(row.hlc));
    touched_.add_int8(put && !live ? 0 : static_cast<std::int64_t>(row.touched_hlc));
    expires_.add_int8(put && !live ? 0 : row.record.expires_at_ms);
    created_.add_int8(row.created_at_ms);
    tomb_until_.add_int8(live ? 0 : row.tomb_until_ms);
    origins_.add_int8(bigint_of(row.origin));
    add_value(put && live, row);
    kinds_.add_int2(static_cast<std::int16_t>(write.kind));  // its numbers are the SQL's
    const auto [hlc, origin] = expected_of(write);
    expected_hlcs_.add_int8(hlc);
    expected_origins_.add_int8(bigint_of(origin));
  }
  std::size_t value_bytes() const { return value_bytes_; }

  Params params(Step step, std::int64_t era_base) const {
    Params out;
    out.add_int8(era_base);
    for (const ArrayParam* one :
         {&keys_, &incarnations_, &states_, &through_redis_, &hlcs_, &touched_, &expires_,
          &created_, &tomb_until_, &origins_, &values_}) {
      out.add(*one);
    }
    if (step != Step::change) return out;
    out.add(kinds_);
    out.add(expected_hlcs_);
    out.add(expected_origins_);
    return out;
  }

 private:
  using Type = ArrayParam::Type;

  void add_value(bool has_value, const BackupRow& row) {
    if (!has_value) return values_.add_null();
    const std::string value = encode_value(row.record, values_codec_, row.key);
    value_bytes_ += value.size();
    values_.add_bytes(value);
  }

  ValueCodec& values_codec_;
  ArrayParam keys_{Type::bytea}, incarnations_{Type::int8}, states_{Type::int2},
      through_redis_{Type::boolean}, hlcs_{Type::int8}, touched_{Type::int8}, expires_{Type::int8},
      created_{Type::int8}, tomb_until_{Type::int8}, origins_{Type::int8}, values_{Type::bytea},
      kinds_{Type::int2}, expected_hlcs_{Type::int8}, expected_origins_{Type::int8};
  std::size_t value_bytes_ = 0;
};

class WriteTask final : public Task {
 public:
  WriteTask(const WriteRequest& operation, const BackupSession& session, ValueCodec& values)
      : batch_(operation.batch),
        writes_(batch_.writes),
        era_base_(session.era_base),
        values_(values),
        results_(writes_.size()) {
    for (BackupWritten& result : results_) result.outcome = BackupOutcome::superseded;
  }

  Result<void> build() {
    const std::vector<Indices> rounds = split();
    for (std::size_t i = 0; i < rounds.size(); ++i) {
      const Result<void> added = add_round(rounds[i], i == 0, kMaxBackupBytes / rounds.size());
      if (!added) return added;
    }
    if (batch_.host) add_host(*batch_.host);
    if (batch_.together && !rounds.empty()) add_together(rounds[0]);
    return {};
  }

  void take(std::size_t index, const PGresult* result) override {
    if (index >= parts_.size()) return;
    const Part& part = parts_[index];
    for (int row = 0; row < PQntuples(result); ++row) {
      const std::size_t write = find(part.writes, bytes_at(result, row, 0));
      BackupWritten& written = results_[write];
      if (part.step != Step::unwritten) {
        written.outcome = BackupOutcome::applied;
        written.change = static_cast<std::uint64_t>(int8_at(result, row, 1));
        written.incarnation = static_cast<std::uint32_t>(int8_at(result, row, 2));
      } else if (written.outcome != BackupOutcome::applied) {
        written.current = row_of(result, row, values_);
        const bool live = written.current.state == RowState::live;
        if (live && bool_at(result, row, kRowColumnCount)) written.current.unreadable = kLeftOut;
      }
    }
  }

  bool is_meant(const SqlError& error) const override {
    return batch_.together && error.state == kNotTogether;
  }

  Result<BackupResult> finish() override {
    const auto applied = [](const BackupWritten& r) { return r.outcome == BackupOutcome::applied; };
    const bool undone = batch_.together && !std::ranges::all_of(results_, applied);
    for (std::size_t i = 0; i < writes_.size(); ++i) {
      BackupWritten& written = results_[i];
      if (undone) written.change = 0;
      if (written.outcome == BackupOutcome::applied) continue;
      written.current.key = writes_[i].row.key;
      written.change = written.current.change;
      written.incarnation = written.current.incarnation;
      written.outcome = apply_write(written.current, writes_[i]).outcome;
      // The row has changed between the refusal and the look at it.
      if (written.outcome == BackupOutcome::applied) {
        written.outcome = writes_[i].expected ? BackupOutcome::conflict : BackupOutcome::superseded;
      }
    }
    return BackupResult(std::move(results_));
  }

 private:
  struct Part {
    Step step;
    Indices writes;  // by key
  };

  // Each key once in a round, in key order: no two batches wait for each other's rows.
  std::vector<Indices> split() const {
    Indices order(writes_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, [this](std::size_t a, std::size_t b) {
      const int keys = writes_[a].row.key.compare(writes_[b].row.key);
      return keys != 0 ? keys < 0 : a < b;
    });
    std::vector<Indices> rounds;
    std::size_t round = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const bool again = i > 0 && writes_[order[i]].row.key == writes_[order[i - 1]].row.key;
      round = again ? round + 1 : 0;
      if (round == rounds.size()) rounds.emplace_back();
      rounds[round].push_back(order[i]);
    }
    return rounds;
  }

  // `shown`: so many bytes of values that are there instead.
  Result<void> add_round(const Indices& round, bool first, std::size_t shown) {
    for (const Step step : {Step::put, Step::create, Step::change}) {
      Columns columns(values_);
      Indices of_step;
      for (const std::size_t i : round) {
        if (!takes(writes_[i], step)) continue;
        columns.add(writes_[i]);
        of_step.push_back(i);
      }
      value_bytes_ += columns.value_bytes();
      if (value_bytes_ > kMaxBackupBytes) {
        return make_error(Errc::limit, "backup: more than 64 MB of values in one batch");
      }
      if (!of_step.empty()) add(step, std::move(of_step), columns.params(step, era_base_));
    }
    Params params;
    params.add_int8(era_base_);
    params.add(keys_of(round));
    params.add_bool(!first);
    params.add_int8(static_cast<std::int64_t>(shown));
    add(Step::unwritten, round, std::move(params));
    return {};
  }

  ArrayParam keys_of(const Indices& round) const {
    ArrayParam keys(ArrayParam::Type::bytea);
    for (const std::size_t i : round) keys.add_bytes(writes_[i].row.key);
    return keys;
  }

  // Behind the rows: nobody waits for it longer than the commit takes.
  void add_host(const BackupHost& host) {
    Params params;
    params.add_int8(bigint_of(host.instance));
    params.add(host.name);
    params.add_int8(static_cast<std::int64_t>(host.hlc));
    params.add_bool(host.trusts_redis);
    params.add_int8(static_cast<std::int64_t>(host.shipped_to));
    executions_.push_back({"host", std::move(params)});
  }

  void add_together(const Indices& round) {
    Params params;
    params.add_int8(era_base_);
    params.add(keys_of(round));
    params.add_int8(static_cast<std::int64_t>(round.size()));
    executions_.push_back({"together", std::move(params)});
  }

  void add(Step step, Indices writes, Params params) {
    executions_.push_back({kStatements[static_cast<int>(step)], std::move(params)});
    parts_.push_back({step, std::move(writes)});
  }

  std::size_t find(const Indices& sorted, std::string_view key) const {
    const auto found = std::ranges::lower_bound(
        sorted, key, {}, [this](std::size_t i) { return std::string_view(writes_[i].row.key); });
    STAYD_ASSERT(found != sorted.end() && writes_[*found].row.key == key);
    return *found;
  }

  const BackupBatch& batch_;
  const std::vector<BackupWrite>& writes_;
  const std::int64_t era_base_;
  ValueCodec& values_;
  std::vector<Part> parts_;  // beside executions_, which are more
  std::vector<BackupWritten> results_;
  std::size_t value_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<Task>> make_write_task(const WriteRequest& operation,
                                              const BackupSession& session, ValueCodec& values) {
  auto task = std::make_unique<WriteTask>(operation, session, values);
  const Result<void> built = task->build();
  if (!built) return built.error();
  return std::unique_ptr<Task>(std::move(task));
}

}  // namespace stayd
