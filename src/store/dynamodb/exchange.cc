#include "store/dynamodb/exchange.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "store/aws_signature.h"

namespace stayd::dynamo {
namespace {

constexpr int kParallel = 16;                      // requests on the way at once
constexpr std::size_t kMaxAnswerBytes = 32 << 20;  // DynamoDB's own limit is 16 MB
constexpr long kTryMs = 5'000;
constexpr std::int64_t kFirstPauseUs = 25'000;
constexpr std::int64_t kLastPauseUs = 1'000'000;
constexpr int kMaxBroken = 3;  // tries that failed on the way, until the connection counts as lost

CURLcode once() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  return code;
}

void arm_timer(int timer, std::int64_t in_us) {
  const std::int64_t us = std::max<std::int64_t>(in_us, 0);
  itimerspec when{};
  when.it_value.tv_sec = us / 1'000'000;
  when.it_value.tv_nsec = us % 1'000'000 * 1000 + 1;  // 0 would disarm it
  ::timerfd_settime(timer, 0, &when, nullptr);
}

void watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
  }
}

// Nothing has been sent, or nobody has taken it.
bool never_arrived(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION;
}

}  // namespace

struct Exchange::Call {
  Exchange* owner = nullptr;
  std::size_t index = 0;
  const char* operation = "";
  std::string request, answer;
  std::unique_ptr<CURL, void (*)(CURL*)> easy{curl_easy_init(), curl_easy_cleanup};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers{nullptr, curl_slist_free_all};
  char why[CURL_ERROR_SIZE] = "";
  std::int64_t sent_us = 0, date_s = -1;
  std::int64_t due_us = -1;  // to be sent (again) then; -1: it is on the way, or has its answer
  int tries = 0, broken = 0;
  int sends = 0;  // in this try
  bool unsure = false, answered = false;
};

std::shared_ptr<const AwsKeys> Service::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void Service::set_keys(AwsKeys keys) {
  auto next = std::make_shared<const AwsKeys>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_ = std::move(next);
}

std::int64_t Service::wall_ms(Now now) const {
  const std::int64_t there_ms = clock.at(now.mono_us).wall_ms;
  return there_ms == 0 ? now.wall_ms : there_ms;
}

void Service::leave(Left left) {
  const std::lock_guard lock(mutex_);
  left_.push_back(std::move(left));
}

std::vector<Service::Left> Service::take_left() {
  const std::lock_guard lock(mutex_);
  return std::exchange(left_, {});
}

std::size_t Service::left() const {
  const std::lock_guard lock(mutex_);
  std::size_t out = 0;
  for (const Left& one : left_) out += one.batches.size();
  return out;
}

Exchange::Exchange(Service& service)
    : service_(service),
      random_(service.options.seed + static_cast<std::uint64_t>(service.options.now().mono_us)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      multi_(once() == CURLE_OK ? curl_multi_init() : nullptr, curl_multi_cleanup) {
  STAYD_ASSERT(epoll_ >= 0 && timer_ >= 0 && multi_);
  watch(epoll_, timer_, EPOLLIN);
  CURLM* multi = multi_.get();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, long{kParallel});
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, long{kParallel});
}

Exchange::~Exchange() {
  for (const auto& call : calls_) curl_multi_remove_handle(multi_.get(), call->easy.get());
  multi_.reset();
  calls_.clear();
  ::close(timer_);
  ::close(epoll_);
}

Exchange::State Exchange::start(std::vector<Request> requests, std::int64_t pause_us,
                                std::int64_t valid_until_us) {
  const std::int64_t now = service_.options.now().mono_us;
  answers_.clear();
  answers_.resize(requests.size());
  for (const auto& call : calls_) curl_multi_remove_handle(multi_.get(), call->easy.get());
  calls_.resize(requests.size());
  left_ = requests.size();
  on_way_ = 0;
  told_ = false;
  valid_until_us_ = valid_until_us;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!calls_[i]) calls_[i] = std::make_unique<Call>();
    Call& call = *calls_[i];
    call.owner = this;
    call.index = i;
    call.operation = requests[i].operation;
    call.request = requests[i].text.empty() ? boost::json::serialize(requests[i].body)
                                            : std::move(requests[i].text);
    call.answered = false;
    call.due_us = now + pause_us;
    call.tries = call.broken = 0;
    call.unsure = false;
  }
  if (pause_us == 0) send_due();
  arm();
  return lost_ ? State::lost : State::waiting;
}

Exchange::State Exchange::advance() {
  take_events();
  take_finished();
  send_due();
  told_ = left_ == 0;
  arm();
  if (lost_) return State::lost;
  return told_ ? State::done : State::waiting;
}

void Exchange::take_events() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t taken = ::read(timer_, &expirations, sizeof expirations);
  int running = 0;
  epoll_event events[64];
  const int ready = ::epoll_wait(epoll_, events, 64, 0);
  for (int i = 0; i < ready; ++i) {
    if (events[i].data.fd == timer_) continue;
    const std::uint32_t what = events[i].events;
    const int flags = ((what & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                      ((what & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                      ((what & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(multi_.get(), events[i].data.fd, flags, &running);
  }
  if (curl_due_us_ >= 0 && curl_due_us_ <= service_.options.now().mono_us) {
    curl_due_us_ = -1;
    curl_multi_socket_action(multi_.get(), CURL_SOCKET_TIMEOUT, 0, &running);
  }
}

void Exchange::take_finished() {
  int queued = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &queued)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    curl_multi_remove_handle(multi_.get(), easy);
    char* pointer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &pointer);
    take(*reinterpret_cast<Call*>(pointer), code);
  }
}

void Exchange::send_due() {
  const std::int64_t now = service_.options.now().mono_us;
  for (const auto& call : calls_) {
    if (on_way_ == kParallel || lost_) return;
    if (call->due_us >= 0 && call->due_us <= now) send(*call);
  }
}

// The timer stands for all of: curl's own, what is to be sent again, and "all is done already".
void Exchange::arm() {
  std::int64_t due = left_ == 0 && !told_ ? 0 : curl_due_us_;
  for (const auto& call : calls_) {
    if (on_way_ == kParallel) break;
    if (call->due_us >= 0 && (due < 0 || call->due_us < due)) due = call->due_us;
  }
  if (due >= 0) arm_timer(timer_, due - service_.options.now().mono_us);
}

void Exchange::send(Call& call) {
  const Target& target = service_.target;
  // The time that is looked at is the one that is signed: if this process stands still from here
  // on, however long, AWS refuses what it sends then.
  const Now now = service_.options.now();
  if (valid_until_us_ != 0 && now.mono_us > valid_until_us_) {
    lost_ = true;
    lost_error_ = make_error(Errc::io, "backup: a write was held up for minutes, and is given up");
    return;
  }
  call.due_us = -1;
  call.answer.clear();
  call.date_s = -1;
  call.why[0] = '\0';
  call.sends = 0;
  ++call.tries;
  ++on_way_;
  SignedPost post;
  post.headers = {{"host", target.host},
                  {"content-length", std::to_string(call.request.size())},
                  {"content-type", "application/x-amz-json-1.0"},
                  {"x-amz-target", fmt::format("DynamoDB_20120810.{}", call.operation)}};
  post.body = call.request;
  post.region = target.region;
  post.service = "dynamodb";
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : sign_post(post, *service_.keys(), service_.wall_ms(now))) {
    list = curl_slist_append(list, fmt::format("{}: {}", name, value).c_str());
  }
  call.headers.reset(list);
  CURL* easy = call.easy.get();
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, (target.endpoint + "/").c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, target.endpoint.starts_with("https") ? nullptr : "");
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call.request.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.request.size()));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &call);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &call);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, &call);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call.why);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &call);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTryMs);
  call.sent_us = now.mono_us;
  curl_multi_add_handle(multi_.get(), easy);
}

void Exchange::take(Call& call, CURLcode code) {
  --on_way_;
  if (code != CURLE_OK) {
    call.unsure |= !never_arrived(code);
    const char* why = call.why[0] != '\0' ? call.why : curl_easy_strerror(code);
    if (++call.broken >= kMaxBroken || code == CURLE_PEER_FAILED_VERIFICATION) {
      lost_ = true;
      lost_error_ = make_error(Errc::io, fmt::format("backup: {}: {}", service_.target.host, why));
      return;
    }
    return again(call);
  }
  if (call.date_s >= 0) {
    service_.clock.observe(call.sent_us, service_.options.now().mono_us, call.date_s);
  }
  long status = 0;
  curl_easy_getinfo(call.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  Answer answer = answer_of(call.answer, static_cast<int>(status));
  if (answer.error && answer.error->retry) {
    call.unsure |= status >= 500;  // it may have got somewhere
    return again(call);
  }
  answer.unsure = call.unsure;
  answers_[call.index] = std::move(answer);
  call.answered = true;
  --left_;
}

std::vector<Request> Exchange::unanswered() const {
  std::vector<Request> out;
  for (const auto& call : calls_) {
    if (!call->answered) out.push_back({call->operation, {}, call->request});
  }
  return out;
}

void Exchange::again(Call& call) {
  const std::int64_t bound = std::min(kLastPauseUs, kFirstPauseUs << std::min(call.tries, 10));
  call.due_us = service_.options.now().mono_us +
                static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
}

int Exchange::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  const int epoll = static_cast<Exchange*>(self)->epoll_;
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nullptr);
    return 0;
  }
  const std::uint32_t in = what != CURL_POLL_OUT ? std::uint32_t{EPOLLIN} : 0;
  const std::uint32_t out = what != CURL_POLL_IN ? std::uint32_t{EPOLLOUT} : 0;
  watch(epoll, socket, in | out);
  return 0;
}

int Exchange::on_timer(CURLM*, long timeout_ms, void* self) {
  Exchange& exchange = *static_cast<Exchange*>(self);
  exchange.curl_due_us_ =
      timeout_ms < 0 ? -1 : exchange.service_.options.now().mono_us + timeout_ms * 1000;
  return 0;
}

// Where a connection that was used before ends without an answer, libcurl sends again by itself.
int Exchange::on_send(void* call, char*, char*, int, int) {
  if (++static_cast<Call*>(call)->sends > 1) static_cast<Call*>(call)->unsure = true;
  return CURL_PREREQFUNC_OK;
}

std::size_t Exchange::on_body(char* data, std::size_t size, std::size_t count, void* call) {
  std::string& answer = static_cast<Call*>(call)->answer;
  if (answer.size() + size * count > kMaxAnswerBytes) return 0;
  answer.append(data, size * count);
  return size * count;
}

std::size_t Exchange::on_header(char* data, std::size_t size, std::size_t count, void* call) {
  const std::string line(data, size * count);
  constexpr std::string_view kDate = "date:";
  const bool date = line.size() > kDate.size() &&
                    std::equal(kDate.begin(), kDate.end(), line.begin(),
                               [](char a, char b) { return a == (b | 0x20) || a == b; });
  if (date) {
    static_cast<Call*>(call)->date_s = curl_getdate(line.c_str() + kDate.size(), nullptr);
  }
  return size * count;
}

}  // namespace stayd::dynamo
