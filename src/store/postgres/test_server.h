// For tests: a real PostgreSQL of the test's own, in a temporary folder, reached by unix socket
// (everybody is trusted) and TCP (by password). Killed at the end. As root it runs as `postgres`,
// since it refuses to run as root.
#pragma once

#include <libpq-fe.h>

#include <fstream>
#include <string>
#include <vector>

#include "store/postgres/admin.h"
#include "store/postgres/postgres_backup.h"
#include "store/test_database_server.h"

namespace stayd::test {

class PostgresServer : public DatabaseServer {
 public:
  explicit PostgresServer(std::vector<std::string> settings = {"fsync=off"})
      : DatabaseServer("postgres"), settings_(std::move(settings)) {
    run({binary("initdb"), "-D", folder_ + "/data", "-A", "trust", "-U", "postgres", "-N",
         "--locale=C", "-E", "UTF8", "--no-instructions"});
    std::ofstream(folder_ + "/data/pg_hba.conf")
        << "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    start();
    exec("CREATE ROLE stayd LOGIN PASSWORD 'right'");
  }
  std::string url(const std::string& database) const {
    return "postgresql://stayd@/" + database + "?host=" + folder_ +
           "&port=" + std::to_string(port_);
  }
  std::string tcp_url(const std::string& database, const std::string& password) const {
    return "postgresql://stayd:" + password + "@127.0.0.1:" + std::to_string(port_) + "/" +
           database;
  }

  void start() {
    std::vector<std::string> words{binary("postgres"), "-D", folder_ + "/data"};
    std::vector<std::string> settings{"listen_addresses=127.0.0.1", "port=" + std::to_string(port_),
                                      "unix_socket_directories=" + folder_, "logging_collector=off",
                                      "max_connections=30"};
    settings.insert(settings.end(), settings_.begin(), settings_.end());
    for (const std::string& one : settings) {
      words.push_back("-c");
      words.push_back(one);
    }
    pid_ = spawn(words);
    wait_for([this] { return connect("postgres", false) != nullptr; }, "PostgreSQL answers");
  }
  PgConnection connect(const std::string& database, bool must = true) const {
    const std::string text =
        "host=" + folder_ + " port=" + std::to_string(port_) + " user=postgres dbname=" + database;
    PgConnection out(PQconnectdb(text.c_str()));
    if (PQstatus(out.get()) == CONNECTION_OK) return out;
    if (must) throw std::runtime_error(PQerrorMessage(out.get()));
    return nullptr;
  }
  // Of the last statement, its first field.
  static std::string exec(PGconn* connection, const std::string& sql) {
    const PgResult result(PQexec(connection, sql.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      throw std::runtime_error(sql + ": " + PQerrorMessage(connection));
    }
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
  }
  std::string exec(const std::string& sql, const std::string& database = "postgres") const {
    return exec(connect(database).get(), sql);
  }
  // A new database of `stayd`'s, with the schema unless told otherwise.
  std::string make_database(bool schema = true) {
    const std::string name = "d" + std::to_string(++databases_);
    exec("CREATE DATABASE " + name + " OWNER stayd TEMPLATE template0");
    if (schema) init(name);
    return name;
  }
  void init(const std::string& database) const {
    const BackupOptions options = this->options(database);
    PostgresAdmin admin(options);
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
  static std::string binary(const std::string& name) {
    return "/usr/lib/postgresql/15/bin/" + name;
  }

 private:
  const std::vector<std::string> settings_;
};

// One for all tests that do not break it.
inline PostgresServer& shared_server() {
  static PostgresServer server;
  return server;
}

}  // namespace stayd::test
