#include "redis/standby.h"

#include <algorithm>
#include <utility>

#include "core/side_keys.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

class Standby::Node final : private UpstreamEvents, private ReplyHandler {
 public:
  Node(Standby& owner, const Primary& primary)
      : owner_(owner),
        tag_(primary.tag),
        link_(options(owner, primary), owner.dialer_, *this, owner.of_links_, owner.random_) {
    link_.start(owner.now_);
  }

  void on_tick() {
    const Now now = owner_.now_;
    link_.on_tick(now);
    if (!link_.up() || asking_ || now.mono_us - wrote_us_ < kWriteUs) return;
    wrote_us_ = now.mono_us;
    asking_ = true;
    std::string request;
    append_request(request, {"SET", side_key(tag_, "standby"), "1", "PX", "60000"});
    link_.send(request, -1, *this, 0, now.mono_us + kAnswerUs, 1, Order::strict);
  }
  bool well() const { return well_; }
  const std::string& trouble() const { return trouble_; }

 private:
  static LinkOptions options(const Standby& owner, const Primary& primary) {
    LinkOptions out = owner.options_;
    out.endpoint = primary.endpoint;
    out.max_retry_ms = std::min(out.max_retry_ms, kMaxRetryMs);
    return out;
  }
  void on_upstream_up(const GateFacts&) override { wrote_us_ = -kWriteUs; }
  void on_upstream_down(bool, std::string_view cause) override { fail(std::string(cause)); }
  void on_upstream_push(std::string_view) override {}
  void on_upstream_reply(std::uint64_t, std::string_view frame) override {
    asking_ = false;
    const ReplyView reply(frame);
    if (reply.is_error()) return fail(std::string(reply.text()));
    well_ = true;
    trouble_.clear();
  }
  void on_upstream_lost(std::uint64_t) override { asking_ = false; }
  void fail(std::string why) {
    well_ = false;
    trouble_ = link_.endpoint().text() + ": " + std::move(why);
  }

  Standby& owner_;
  const std::string tag_;
  bool asking_ = false;
  bool well_ = false;
  std::int64_t wrote_us_ = 0;
  std::string trouble_;
  Link link_;  // last: it tells of its end
};

Standby::Standby(LinkOptions link, Dialer& dialer, Random& random)
    : options_(std::move(link)), dialer_(dialer), random_(random) {}

Standby::~Standby() = default;

void Standby::set_primaries(std::vector<Primary> primaries, std::string why) {
  why_ = std::move(why);
  if (primaries == primaries_) return;
  primaries_ = std::move(primaries);
  nodes_.clear();
  for (const Primary& one : primaries_) nodes_.push_back(std::make_unique<Node>(*this, one));
  well_ = false;
}

void Standby::stop() {
  set_primaries({}, "");
  well_ = false;
}

void Standby::on_tick(Now now) {
  now_ = now;
  for (const auto& node : nodes_) node->on_tick();
  const bool all = std::ranges::all_of(nodes_, [](const auto& node) { return node->well(); });
  const bool well = all && !nodes_.empty();
  if (well && !well_) well_since_us_ = now.mono_us;
  well_ = well;
}

std::string Standby::trouble() const {
  if (nodes_.empty()) return why_;
  for (const auto& node : nodes_) {
    if (!node->well() && !node->trouble().empty()) return node->trouble();
  }
  return {};
}

}  // namespace stayd
