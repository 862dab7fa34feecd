// For tests: a real database of the test's own, whichever it is, and what the tests of all of them
// say to it in its own words. It is reached by unix socket (no password) and by TCP (by password).
#pragma once

#include <fmt/format.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "store/test_server_process.h"

namespace stayd::test {

// As the superuser. What it has begun is undone with it.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  // Of the last statement that returns rows, the first field. Throws if one fails.
  virtual std::string exec(const std::string& sql) = 0;
};

// Texts of SQL, and parts of what stayd says.
struct Dialect {
  std::string system_database;
  std::string rows, hosts, meta;  // tables
  std::string key;                // a column of rows
  std::string connections;        // of a stayd to the database whose quoted name follows
  std::string hold_writes;        // whoever writes the rows that are there waits for this session
  bool one_writer;                // at a time
  std::string lock_rows;          // who reads them, too
  std::string limit_connections;  // of stayd, to the number that follows
  int no_limit;
  std::string drop_schema;
  std::string wrong_password, no_database, unreachable, read_only, too_many_connections, version;
};

class DatabaseServer : public ServerProcess {
 public:
  DatabaseServer(std::string user, Dialect dialect)
      : ServerProcess(std::move(user)), sql(std::move(dialect)) {}
  virtual void start() = 0;
  virtual std::unique_ptr<SqlSession> connect(const std::string& database) const = 0;
  std::string exec(const std::string& text, const std::string& database = "") const {
    return connect(database.empty() ? sql.system_database : database)->exec(text);
  }

  // A new database of `stayd`'s, with the schema unless told otherwise.
  std::string make_database(bool schema = true) {
    const std::string name = "d" + std::to_string(++databases_);
    create(name);
    if (schema) init(name);
    return name;
  }
  void init(const std::string& database) const {
    const Result<BackupAdmin::Made> made = init_backup(options(database));
    if (!made) throw std::runtime_error(made.error().message);
  }
  BackupOptions options(const std::string& database) const {
    BackupOptions out;
    out.url = url(database);
    out.now = real_now;
    return out;
  }
  virtual std::string url(const std::string& database) const = 0;  // by unix socket
  std::string tcp_url(const std::string& database, const std::string& password) const {
    return tcp_url(database, password, port_);
  }
  virtual std::string tcp_url(const std::string& database, const std::string& password,
                              int port) const = 0;

  // How many a stayd has to this database, of which `which` is true.
  std::string connections(const std::string& database, const std::string& which = "") const {
    return exec(fmt::format("{}'{}'{}", sql.connections, database, which));
  }
  // Ends every connection of stayd's; returns when they are gone.
  virtual void hang_up() const = 0;
  virtual void set_read_only(const std::string& database, bool read_only) const = 0;
  void limit_connections(int most) const {
    exec(fmt::format("{} {}", sql.limit_connections, most));
  }
  virtual std::string bytes(const std::string& text) const = 0;  // a literal
  // A row as a stayd would write it, in a transaction that the session ends.
  virtual std::string begin_row(const std::string& name) const = 0;
  // As if the rows had been numbered by a server that has done far more, where numbers are counted.
  virtual void age(const std::string&) const {}
  virtual std::string dump(const std::string& database) const = 0;  // the file
  virtual void restore(const std::string& file, const std::string& database) const = 0;

  const Dialect sql;

 protected:
  virtual void create(const std::string& database) const = 0;

 private:
  int databases_ = 0;
};

}  // namespace stayd::test
