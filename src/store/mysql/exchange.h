// A connection of Connector/C in its non-blocking mode: opens it, sends a packet of one or several
// statements, and collects their results. One thread at a time.
//
// start_...() and advance() never wait, but for the host's name, which the library looks up
// blocking.
#pragma once

#include <mysql.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/backup/link.h"
#include "store/mysql/url.h"

namespace stayd::mysql {

// What one statement returned; of one that returns no rows, none.
class Rows {
 public:
  Rows() = default;
  Rows(MYSQL_RES* rows, std::uint64_t affected) : rows_(rows), affected_(affected) {}

  bool next();  // to the first row, and on; false: there are no more
  std::string_view bytes(unsigned column) const;
  bool is_null(unsigned column) const { return row_[column] == nullptr; }
  template <class T>
  T number(unsigned column) const;  // 0: it is none
  std::uint64_t affected() const { return affected_; }

 private:
  struct Free {
    void operator()(MYSQL_RES* rows) const { mysql_free_result(rows); }
  };
  std::unique_ptr<MYSQL_RES, Free> rows_;
  std::uint64_t affected_ = 0;
  MYSQL_ROW row_ = nullptr;
  unsigned long* lengths_ = nullptr;
};

extern template std::int64_t Rows::number<std::int64_t>(unsigned) const;
extern template std::uint64_t Rows::number<std::uint64_t>(unsigned) const;

class Exchange {
 public:
  using State = BackupLink::State;
  Exchange() = default;
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `target` is taken as it is; `password` is the one used.
  State start_connect(const Target& target, const std::string& password);
  State start(std::string packet);
  State advance();
  bool idle() const { return step_ == Step::idle; }

  int fd() const;
  short events() const;  // what poll() is to wait for

  // Of the packet that is done: one for each statement up to the one that failed.
  std::vector<Rows>& results() { return results_; }
  const std::optional<SqlError>& error() const { return error_; }

 private:
  enum class Step : std::uint8_t { idle, connect, query, store, next };

  void set_options(const Target& target);
  int resume(int ready);
  State run();
  bool take_step();
  bool failed();

  std::unique_ptr<MYSQL, void (*)(MYSQL*)> mysql_{nullptr, mysql_close};
  Target target_;  // the library keeps pointers into it while it connects
  std::string password_;
  std::string packet_;
  Step step_ = Step::idle;
  int waiting_ = 0;  // MYSQL_WAIT_...
  MYSQL* connected_ = nullptr;
  int code_ = 0;
  MYSQL_RES* stored_ = nullptr;
  std::vector<Rows> results_;
  std::optional<SqlError> error_;
};

}  // namespace stayd::mysql
