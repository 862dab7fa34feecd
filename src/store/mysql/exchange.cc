#include "store/mysql/exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <charconv>

#include "store/mysql/sql_error.h"

namespace stayd::mysql {
namespace {

constexpr const char* kCharset = "binary";  // bytes are bytes
// None that sends the password as it is to whoever asks.
constexpr const char* kAuthentication =
    "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password";

// What poll() says now. The library must not be told that it is connected when it is not.
int ready_for(int fd, int waiting) {
  short events = 0;
  if ((waiting & MYSQL_WAIT_READ) != 0) events |= POLLIN;
  if ((waiting & MYSQL_WAIT_WRITE) != 0) events |= POLLOUT;
  pollfd one{fd, events, 0};
  if (::poll(&one, 1, 0) <= 0) return 0;
  int out = 0;
  if ((one.revents & (POLLIN | POLLHUP | POLLERR)) != 0) out |= MYSQL_WAIT_READ;
  if ((one.revents & (POLLOUT | POLLHUP | POLLERR)) != 0) out |= MYSQL_WAIT_WRITE;
  return out & waiting;
}

const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

}  // namespace

bool Rows::next() {
  if (!rows_) return false;
  row_ = mysql_fetch_row(rows_.get());
  if (row_ == nullptr) return false;
  lengths_ = mysql_fetch_lengths(rows_.get());
  return true;
}

std::string_view Rows::bytes(unsigned column) const {
  if (row_[column] == nullptr) return {};
  return {row_[column], lengths_[column]};
}

template <class T>
T Rows::number(unsigned column) const {
  const std::string_view text = bytes(column);
  T out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}
template std::int64_t Rows::number<std::int64_t>(unsigned) const;
template std::uint64_t Rows::number<std::uint64_t>(unsigned) const;

// In the middle of something nothing polite can be said, and must not be waited for.
Exchange::~Exchange() {
  if (mysql_ && !idle() && fd() >= 0) ::shutdown(fd(), SHUT_RDWR);
}

void Exchange::set_options(const Target& target) {
  MYSQL* mysql = mysql_.get();
  mysql_options(mysql, MYSQL_OPT_NONBLOCK, nullptr);
  mysql_options(mysql, MYSQL_SET_CHARSET_NAME, kCharset);
  const unsigned none = 0;  // a server may not ask for our files
  mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &none);
  mysql_optionsv(mysql, MARIADB_OPT_RESTRICTED_AUTH, kAuthentication);
  const unsigned protocol = target.socket.empty() ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
  mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
  const my_bool tls = target.tls != Tls::disabled;
  const my_bool verify = target.tls == Tls::verify_identity;
  mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &tls);
  mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  if (!tls) return;
  if (!target.ca.empty()) mysql_options(mysql, MYSQL_OPT_SSL_CA, target.ca.c_str());
  if (!target.certificate.empty()) {
    mysql_options(mysql, MYSQL_OPT_SSL_CERT, target.certificate.c_str());
  }
  if (!target.key.empty()) mysql_options(mysql, MYSQL_OPT_SSL_KEY, target.key.c_str());
}

Exchange::State Exchange::start_connect(const Target& target, const std::string& password) {
  [[maybe_unused]] static const int once = mysql_library_init(0, nullptr, nullptr);
  mysql_.reset(mysql_init(nullptr));
  STAYD_ASSERT(mysql_);
  target_ = target;
  password_ = password;
  set_options(target_);
  step_ = Step::connect;
  waiting_ = mysql_real_connect_start(
      &connected_, mysql_.get(), or_null(target_.host), target_.user.c_str(), password_.c_str(),
      target_.database.c_str(), target_.port, or_null(target_.socket), CLIENT_MULTI_STATEMENTS);
  return run();
}

Exchange::State Exchange::start(std::string packet) {
  packet_ = std::move(packet);
  results_.clear();
  error_.reset();
  step_ = Step::query;
  waiting_ = mysql_real_query_start(&code_, mysql_.get(), packet_.data(), packet_.size());
  return run();
}

int Exchange::resume(int ready) {
  MYSQL* mysql = mysql_.get();
  switch (step_) {
    case Step::connect:
      return mysql_real_connect_cont(&connected_, mysql, ready);
    case Step::query:
      return mysql_real_query_cont(&code_, mysql, ready);
    case Step::store:
      return mysql_store_result_cont(&stored_, mysql, ready);
    case Step::next:
      return mysql_next_result_cont(&code_, mysql, ready);
    case Step::idle:
      break;
  }
  return 0;
}

Exchange::State Exchange::advance() {
  // Nobody has asked for anything: it is the server's good-bye.
  if (idle()) {
    error_ = error_of(2006, "the server has closed the connection");
    return State::lost;
  }
  const int ready = ready_for(fd(), waiting_);
  if (ready == 0) return State::waiting;
  waiting_ = resume(ready);
  return run();
}

Exchange::State Exchange::run() {
  while (waiting_ == 0) {
    if (take_step()) continue;
    step_ = Step::idle;
    packet_.clear();
    // (The library closes the connection after errors of its own.)
    return error_ && (error_->fatal || fd() < 0) ? State::lost : State::done;
  }
  return State::waiting;
}

// Goes on from a step that has ended. False: there is nothing left.
bool Exchange::take_step() {
  MYSQL* mysql = mysql_.get();
  if (step_ == Step::connect) {
    if (connected_ == nullptr) return failed();
    // To the library that is no error, unless it must also know who the server is.
    if (target_.tls != Tls::disabled && mysql_get_ssl_cipher(mysql) == nullptr) {
      error_ = error_of(2026, "the server offers no TLS; ssl-mode=disabled goes without");
    }
    return false;
  }
  if (step_ == Step::store) {
    if (stored_ == nullptr) return failed();
    results_.emplace_back(stored_, 0);
  } else {
    if (code_ != 0) return failed();  // -1 where it could not even be sent
    if (mysql_field_count(mysql) > 0) {
      step_ = Step::store;
      waiting_ = mysql_store_result_start(&stored_, mysql);
      return true;
    }
    results_.emplace_back(nullptr, mysql_affected_rows(mysql));
  }
  if (!mysql_more_results(mysql)) return false;
  step_ = Step::next;
  waiting_ = mysql_next_result_start(&code_, mysql);
  return true;
}

bool Exchange::failed() {
  const unsigned number = mysql_errno(mysql_.get());
  error_ = number == 0 ? error_of(2013, "the server's answer makes no sense")
                       : error_of(number, mysql_error(mysql_.get()));
  return false;
}

int Exchange::fd() const {
  return mysql_ ? static_cast<int>(mysql_get_socket(mysql_.get())) : -1;
}

short Exchange::events() const {
  if (idle()) return POLLIN;
  return static_cast<short>(((waiting_ & MYSQL_WAIT_READ) != 0 ? POLLIN : 0) |
                            ((waiting_ & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0));
}

}  // namespace stayd::mysql
