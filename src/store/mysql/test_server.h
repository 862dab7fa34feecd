// For tests: a real MariaDB of the test's own.
#pragma once

#include <fmt/format.h>
#include <mysql.h>

#include <memory>
#include <string>
#include <vector>

#include "store/mysql/exchange.h"
#include "store/mysql/statements.h"
#include "store/test_database_server.h"

namespace stayd::test {

class MariadbServer : public DatabaseServer {
 public:
  explicit MariadbServer(std::vector<std::string> settings = {"--innodb-flush-log-at-trx-commit=0",
                                                              "--innodb-flush-method=nosync"})
      : DatabaseServer("mysql", dialect()), settings_(std::move(settings)) {
    // Who starts beside it removes temporary tables of /tmp.
    run({"mariadb-install-db", "--no-defaults", "--datadir=" + folder_ + "/data",
         "--tmpdir=" + folder_, "--auth-root-authentication-method=normal", "--skip-test-db",
         "--skip-name-resolve"});
    start();
    exec("CREATE USER stayd@localhost");
    exec("CREATE USER stayd@127.0.0.1 IDENTIFIED BY 'right'");
    // Who has no rights is not told that there is no such database.
    exec("GRANT ALL ON nowhere.* TO stayd@127.0.0.1");
  }

  void start() override {
    std::vector<std::string> words{"/usr/sbin/mariadbd",
                                   "--no-defaults",
                                   "--datadir=" + folder_ + "/data",
                                   "--tmpdir=" + folder_,
                                   "--socket=" + folder_ + "/socket",
                                   "--pid-file=" + folder_ + "/pid",
                                   "--bind-address=127.0.0.1",
                                   "--port=" + std::to_string(port_),
                                   "--skip-name-resolve",
                                   "--innodb-buffer-pool-size=64M",
                                   "--max-allowed-packet=64M",
                                   "--max-connections=60"};
    words.insert(words.end(), settings_.begin(), settings_.end());
    pid_ = spawn(words);
    wait_for([this] { return Session(*this, "mysql").is_open(); }, "MariaDB answers");
  }
  std::unique_ptr<SqlSession> connect(const std::string& database) const override {
    return std::make_unique<Session>(*this, database);
  }
  std::string url(const std::string& database) const override {
    return fmt::format("mysql://stayd@/{}?socket={}/socket", database, folder_);
  }
  std::string tcp_url(const std::string& database, const std::string& password,
                      int port) const override {
    return fmt::format("mysql://stayd:{}@127.0.0.1:{}/{}?ssl-mode=disabled", password, port,
                       database);
  }
  using DatabaseServer::tcp_url;

  void hang_up() const override {
    const std::string list = "FROM information_schema.processlist WHERE ";
    const std::string ids = exec("SELECT GROUP_CONCAT(id) " + list + "user = 'stayd'");
    if (ids.empty()) return;
    exec("KILL USER stayd");
    wait_for([&] { return exec("SELECT COUNT(*) " + list + "id IN (" + ids + ")") == "0"; },
             "they are gone");
  }
  void set_read_only(const std::string&, bool read_only) const override {
    exec(fmt::format("SET GLOBAL read_only = {}", read_only ? 1 : 0));
  }
  std::string bytes(const std::string& text) const override { return mysql::quoted(text); }
  std::string begin_row(const std::string& name) const override {
    return std::string(mysql::kBegin) +
           "; UPDATE stayd_meta SET last_change = last_change + 1; INSERT INTO stayd_rows SELECT "
           "CONCAT(X'00', '" +
           name + "'), 0, 1, 1, 5, 0, 0, 0, 0, last_change, 1, 3, X'010161' FROM stayd_meta";
  }
  std::string dump(const std::string& database) const override {
    const std::string file = folder_ + "/" + database + ".sql";
    run_tool("mariadb-dump", {"--result-file=" + file, database});
    return file;
  }
  // In a later second than the schema was made in: tables are told apart by that.
  void restore(const std::string& file, const std::string& database) const override {
    const std::string made = exec("SELECT NOW()");
    wait_for([&] { return exec("SELECT NOW()") != made; }, "the next second");
    run_tool("mariadb", {database, "-e", "source " + file});
  }

 private:
  class Session : public SqlSession {
   public:
    Session(const MariadbServer& server, const std::string& database)
        : connection_(mysql_init(nullptr), mysql_close),
          open_(mysql_real_connect(connection_.get(), nullptr, "root", "", database.c_str(), 0,
                                   (server.folder_ + "/socket").c_str(),
                                   CLIENT_MULTI_STATEMENTS) != nullptr) {}
    bool is_open() const { return open_; }
    std::string exec(const std::string& sql) override {
      std::string out;
      int code = mysql_real_query(connection_.get(), sql.data(), sql.size());
      for (; code == 0; code = mysql_next_result(connection_.get())) {
        mysql::Rows rows(mysql_store_result(connection_.get()), 0);
        if (rows.next()) out = rows.bytes(0);
      }
      if (code > 0) throw std::runtime_error(sql + ": " + mysql_error(connection_.get()));
      return out;
    }

   private:
    const std::unique_ptr<MYSQL, void (*)(MYSQL*)> connection_;
    const bool open_;
  };

  static Dialect dialect() {
    return {.system_database = "mysql",
            .rows = "stayd_rows",
            .hosts = "stayd_hosts",
            .meta = "stayd_meta",
            .key = "row_key",
            .connections =
                "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'stayd' "
                "AND db = ",
            .hold_writes = "BEGIN; SELECT * FROM stayd_meta FOR UPDATE",
            .one_writer = true,
            .lock_rows = "LOCK TABLES stayd_rows WRITE",
            .limit_connections = "ALTER USER stayd@localhost WITH MAX_USER_CONNECTIONS",
            .no_limit = 0,
            .drop_schema = "DROP TABLE stayd_meta, stayd_rows, stayd_hosts, stayd_keys",
            .wrong_password = "Access denied for user 'stayd'",
            .no_database = "create the database first",
            .unreachable = "Can't connect",
            .read_only = "read-only",
            .too_many_connections = "max_user_connections",
            .version = "version 3, this stayd knows 1"};
  }
  void run_tool(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> words{name, "--no-defaults", "-S", folder_ + "/socket", "-u", "root"};
    words.insert(words.end(), more.begin(), more.end());
    run(words);
  }
  void create(const std::string& database) const override {
    exec("CREATE DATABASE " + database);
    for (const char* host : {"localhost", "127.0.0.1"}) {
      exec("GRANT ALL ON " + database + ".* TO stayd@" + host);
    }
  }

  const std::vector<std::string> settings_;
};

// One for all tests that do not break it, and one for those that do.
inline DatabaseServer& shared_mariadb() {
  static MariadbServer server;
  return server;
}
inline DatabaseServer& durable_mariadb() {
  static MariadbServer server({});
  return server;
}

}  // namespace stayd::test
