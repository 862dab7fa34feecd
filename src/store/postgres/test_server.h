// For tests: a real PostgreSQL of the test's own, in a temporary folder, reached by unix socket
// (everybody is trusted) and TCP (by password). Killed at the end. As root it runs as `postgres`,
// since it refuses to run as root.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/real_time.h"
#include "store/postgres/admin.h"
#include "store/postgres/postgres_backup.h"
#include "store/test_support.h"

namespace stayd::test {

// Polls; throws after `seconds`.
inline void wait_for(const std::function<bool()>& condition, const char* what, int seconds = 20) {
  // tidy: allow(clock) because the tests wait for a server
  const std::int64_t until = real_now().mono_us + seconds * 1'000'000LL;
  while (!condition()) {
    // tidy: allow(clock) because the tests wait for a server
    if (real_now().mono_us > until) throw std::runtime_error(std::string("still not: ") + what);
    ::usleep(5'000);  // tidy: allow(sleep) because a server is polled
  }
}

class PostgresServer {
 public:
  explicit PostgresServer(std::vector<std::string> settings = {"fsync=off"})
      : settings_(std::move(settings)) {
    char folder[] = "/tmp/stayd-pg-XXXXXX";
    if (::mkdtemp(folder) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    if (::geteuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (user == nullptr) throw std::runtime_error("no user postgres");
      [[maybe_unused]] const int given = ::chown(folder, user->pw_uid, user->pw_gid);
    }
    port_ = free_port();
    run({binary("initdb"), "-D", folder_ + "/data", "-A", "trust", "-U", "postgres", "-N",
         "--locale=C", "-E", "UTF8", "--no-instructions"});
    std::ofstream(folder_ + "/data/pg_hba.conf")
        << "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    start();
    exec("CREATE ROLE stayd LOGIN PASSWORD 'right'");
  }
  ~PostgresServer() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  const std::string& folder() const { return folder_; }
  int port() const { return port_; }
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
  // SIGKILL of the postmaster; returns when all its processes are gone.
  void kill() {
    if (pid_ <= 0) return;
    const std::vector<pid_t> all = processes();
    for (const pid_t pid : all) ::kill(pid, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    wait_for(
        [&] { return std::ranges::none_of(all, [](pid_t pid) { return ::kill(pid, 0) == 0; }); },
        "PostgreSQL's processes are gone");
  }
  // The one that makes new processes first, then also what it has just made.
  void freeze() {
    ::kill(pid_, SIGSTOP);
    for (int i = 0; i < 2; ++i) signal_all(SIGSTOP);
  }
  void thaw() { signal_all(SIGCONT); }

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
    const PostgresOptions options = this->options(database);
    PostgresAdmin admin(options);
    const Result<void> connected = admin.connect();
    if (!connected) throw std::runtime_error(connected.error().message);
    const auto made = admin.init();
    if (!made) throw std::runtime_error(made.error().message);
  }
  PostgresOptions options(const std::string& database) const {
    PostgresOptions out;
    out.url = url(database);
    out.now = real_now;
    return out;
  }
  // Waits until it has ended; throws if it fails.
  void run(const std::vector<std::string>& words) const {
    int status = 0;
    ::waitpid(spawn(words), &status, 0);
    if (status != 0) throw std::runtime_error(words[0] + " failed: " + folder_ + "/log");
  }
  static std::string binary(const std::string& name) {
    return "/usr/lib/postgresql/15/bin/" + name;
  }

 private:
  // All of them end with this process.
  pid_t spawn(std::vector<std::string> words) const {
    std::vector<std::string> all{"setpriv", "--pdeathsig", "KILL"};
    if (::geteuid() == 0) {
      all.insert(all.end(), {"--reuid", "postgres", "--regid", "postgres", "--clear-groups"});
    }
    all.push_back("--");
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> argv;
    for (std::string& word : all) argv.push_back(word.data());
    argv.push_back(nullptr);
    const std::string log = folder_ + "/log";
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setsid();
      if (::freopen(log.c_str(), "a", stdout) == nullptr) ::_exit(126);
      ::dup2(STDOUT_FILENO, STDERR_FILENO);
      if (::chdir("/") != 0) ::_exit(126);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    return pid;
  }
  // The postmaster and its children.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> out{pid_};
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::string text;
      std::getline(std::ifstream(entry.path() / "stat"), text);
      const std::size_t end = text.rfind(')');
      if (end == std::string::npos) continue;
      if (std::atoi(text.c_str() + end + 4) == pid_) out.push_back(std::atoi(name.c_str()));
    }
    return out;
  }
  void signal_all(int number) const {
    for (const pid_t pid : processes()) ::kill(pid, number);
  }
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
  }

  const std::vector<std::string> settings_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = 0;
  int databases_ = 0;
};

// One for all tests that do not break it.
inline PostgresServer& shared_server() {
  static PostgresServer server;
  return server;
}

}  // namespace stayd::test
