// For tests: a real PostgreSQL of the test's own.
#pragma once

#include <fmt/format.h>
#include <libpq-fe.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "store/postgres/blocking_connection.h"
#include "store/test_database_server.h"

namespace stayd::test {

class PostgresServer : public DatabaseServer {
 public:
  explicit PostgresServer(std::vector<std::string> settings = {"fsync=off"})
      : DatabaseServer("postgres", dialect()), settings_(std::move(settings)) {
    run({binary("initdb"), "-D", folder_ + "/data", "-A", "trust", "-U", "postgres", "-N",
         "--locale=C", "-E", "UTF8", "--no-instructions"});
    std::ofstream(folder_ + "/data/pg_hba.conf")
        << "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    start();
    exec("CREATE ROLE stayd LOGIN PASSWORD 'right'");
  }

  void start() override {
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
    wait_for([this] { return Session(*this, "postgres").is_open(); }, "PostgreSQL answers");
  }
  std::unique_ptr<SqlSession> connect(const std::string& database) const override {
    return std::make_unique<Session>(*this, database);
  }
  std::string url(const std::string& database) const override {
    return fmt::format("postgresql://stayd@/{}?host={}&port={}", database, folder_, port_);
  }
  std::string tcp_url(const std::string& database, const std::string& password,
                      int port) const override {
    return fmt::format("postgresql://stayd:{}@127.0.0.1:{}/{}", password, port, database);
  }
  using DatabaseServer::tcp_url;

  void hang_up() const override {
    exec(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
        "WHERE application_name = 'stayd'");
  }
  // Sessions have it from their beginning.
  void set_read_only(const std::string& database, bool read_only) const override {
    exec(fmt::format("ALTER DATABASE {} SET default_transaction_read_only = {}", database,
                     read_only ? "on" : "off"));
    hang_up();
  }
  std::string bytes(const std::string& text) const override {
    std::string out = "'\\x";
    for (const char byte : text) out += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return out + "'::bytea";
  }
  std::string begin_row(const std::string& name) const override {
    return "BEGIN; INSERT INTO stayd.rows SELECT '\\x00'::bytea || '" + name +
           "', 0, 1::smallint, true, 5, 0, 0, 0, 0, (SELECT era::bigint << 48 FROM stayd.meta) + "
           "pg_current_xact_id()::text::bigint, 1, '\\x010161'";
  }
  void age(const std::string& database) const override {
    exec("UPDATE stayd.rows SET change = change + 1000000000", database);
  }
  std::string dump(const std::string& database) const override {
    const std::string file = folder_ + "/" + database + ".dump";
    run_tool("pg_dump", {"-Fc", "-f", file, database});
    return file;
  }
  void restore(const std::string& file, const std::string& database) const override {
    run_tool("pg_restore", {"--clean", "--if-exists", "-d", database, file});
  }

 private:
  class Session : public SqlSession {
   public:
    Session(const PostgresServer& server, const std::string& database)
        : connection_(PQconnectdb(fmt::format("host={} port={} user=postgres dbname={}",
                                              server.folder_, server.port_, database)
                                      .c_str())) {}
    bool is_open() const { return PQstatus(connection_.get()) == CONNECTION_OK; }
    std::string exec(const std::string& sql) override {
      const PgResult result(PQexec(connection_.get(), sql.c_str()));
      const ExecStatusType status = PQresultStatus(result.get());
      if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        throw std::runtime_error(sql + ": " + PQerrorMessage(connection_.get()));
      }
      return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
    }

   private:
    const PgConnection connection_;
  };

  static Dialect dialect() {
    return {.system_database = "postgres",
            .rows = "stayd.rows",
            .hosts = "stayd.hosts",
            .meta = "stayd.meta",
            .key = "key",
            .connections =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stayd' "
                "AND datname = ",
            .hold_writes = "BEGIN; UPDATE stayd.rows SET hlc = hlc",
            .one_writer = false,
            .lock_rows = "BEGIN; LOCK stayd.rows",
            .limit_connections = "ALTER ROLE stayd CONNECTION LIMIT",
            .no_limit = -1,
            .drop_schema = "DROP SCHEMA stayd CASCADE",
            .wrong_password = "password authentication failed for user \"stayd\"",
            .no_database = "database \"nowhere\" does not exist",
            .unreachable = "Connection refused",
            .read_only = "25006",
            .too_many_connections = "too many connections",
            .version = "version 3, this stayd knows 2"};
  }
  static std::string binary(const std::string& name) {
    return "/usr/lib/postgresql/15/bin/" + name;
  }
  void run_tool(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> words{binary(name),          "-h", folder_,   "-p",
                                   std::to_string(port_), "-U", "postgres"};
    words.insert(words.end(), more.begin(), more.end());
    run(words);
  }
  void create(const std::string& database) const override {
    exec("CREATE DATABASE " + database + " OWNER stayd TEMPLATE template0");
  }

  const std::vector<std::string> settings_;
};

// One for all tests that do not break it, and one for those that do.
inline DatabaseServer& shared_postgres() {
  static PostgresServer server;
  return server;
}
inline DatabaseServer& durable_postgres() {
  static PostgresServer server({"fsync=on"});
  return server;
}

}  // namespace stayd::test
