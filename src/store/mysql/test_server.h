// For tests: a real MariaDB of the test's own, in a temporary folder, reached by unix socket (no
// password) and TCP (by password). Killed at the end. As root it runs as `mysql`, since it refuses
// to run as root.
#pragma once

#include <mysql.h>

#include <memory>
#include <string>
#include <vector>

#include "store/mysql/admin.h"
#include "store/mysql/mysql_backup.h"
#include "store/test_database_server.h"

namespace stayd::test {

using MysqlConnection = std::unique_ptr<MYSQL, void (*)(MYSQL*)>;

class MariadbServer : public DatabaseServer {
 public:
  explicit MariadbServer(std::vector<std::string> settings = {"--innodb-flush-log-at-trx-commit=0",
                                                              "--innodb-flush-method=nosync"})
      : DatabaseServer("mysql"), settings_(std::move(settings)) {
    run({"mariadb-install-db", "--no-defaults", "--datadir=" + folder_ + "/data",
         "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"});
    start();
    exec("CREATE USER stayd@localhost");
    exec("CREATE USER stayd@127.0.0.1 IDENTIFIED BY 'right'");
  }
  std::string url(const std::string& database) const {
    return "mysql://stayd@/" + database + "?socket=" + folder_ + "/socket";
  }
  std::string tcp_url(const std::string& database, const std::string& password) const {
    return "mysql://stayd:" + password + "@127.0.0.1:" + std::to_string(port_) + "/" + database +
           "?ssl-mode=disabled";
  }

  void start() {
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
    wait_for([this] { return connect("mysql", false) != nullptr; }, "MariaDB answers");
  }

  // As root. `must`: throws if it fails; else nullptr.
  MysqlConnection connect(const std::string& database, bool must = true) const {
    MysqlConnection out(mysql_init(nullptr), mysql_close);
    const std::string socket = folder_ + "/socket";
    if (mysql_real_connect(out.get(), nullptr, "root", "", database.c_str(), 0, socket.c_str(),
                           CLIENT_MULTI_STATEMENTS) != nullptr) {
      return out;
    }
    if (must) throw std::runtime_error(mysql_error(out.get()));
    return {nullptr, mysql_close};
  }
  // Of the last statement that returns rows, the first field.
  static std::string exec(MYSQL* connection, const std::string& sql) {
    std::string out;
    int code = mysql_real_query(connection, sql.data(), sql.size());
    for (; code == 0; code = mysql_next_result(connection)) {
      mysql::Rows rows(mysql_store_result(connection), 0);
      if (rows.next()) out = rows.bytes(0);
    }
    if (code > 0) throw std::runtime_error(sql + ": " + mysql_error(connection));
    return out;
  }
  std::string exec(const std::string& sql, const std::string& database = "mysql") const {
    return exec(connect(database).get(), sql);
  }
  // A new database of `stayd`'s, with the schema unless told otherwise.
  std::string make_database(bool schema = true) {
    const std::string name = "d" + std::to_string(++databases_);
    exec("CREATE DATABASE " + name);
    for (const char* host : {"localhost", "127.0.0.1"}) {
      exec("GRANT ALL ON " + name + ".* TO stayd@" + host);
    }
    if (schema) init(name);
    return name;
  }
  void init(const std::string& database) const {
    const BackupOptions options = this->options(database);
    MysqlAdmin admin(options);
    const Result<void> connected = admin.connect();
    if (!connected) throw std::runtime_error(connected.error().message);
    const auto made = admin.init();
    if (!made) throw std::runtime_error(made.error().message);
  }
  BackupOptions options(const std::string& database) const {
    BackupOptions out;
    out.url = url(database);
    out.now = real_now;
    return out;
  }
  // Ends every connection of `stayd`.
  void hang_up() const { exec("KILL USER stayd"); }

 private:
  const std::vector<std::string> settings_;
};

// One for all tests that do not break it.
inline MariadbServer& shared_mariadb() {
  static MariadbServer server;
  return server;
}

}  // namespace stayd::test
