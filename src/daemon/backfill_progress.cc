#include "daemon/backfill_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace stayd {

namespace {

namespace json = boost::json;

constexpr std::int64_t kBarWidth = 24;

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::int64_t number_in(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(json::string_view(name));
  json::error_code error;
  const auto number = found == nullptr ? 0 : found->to_number<std::int64_t>(error);
  return error ? 0 : number;
}

// Redis' state when it keeps the backfill waiting.
std::string trouble_in(const json::object& object) {
  const auto* shard = object.if_contains("shard");
  if (shard == nullptr || !shard->is_object()) return {};
  const auto* trust = shard->get_object().if_contains("trust");
  const auto* reason = shard->get_object().if_contains("reason");
  if (trust == nullptr || !trust->is_string() || trust->get_string() == "trusted") return {};
  std::string text = fmt::format("waits: Redis is {}", trust->get_string().c_str());
  if (reason != nullptr && reason->is_string() && !reason->get_string().empty()) {
    text += fmt::format(" ({})", reason->get_string().c_str());
  }
  return text;
}

}  // namespace

bool BackfillProgress::take(std::string_view status_json, std::int64_t now_ms) {
  json::error_code error;
  const auto root = json::parse(json::string_view(status_json), error);
  const auto* object = error ? nullptr : root.if_object();
  const auto* complete = object == nullptr ? nullptr : object->if_contains("adoption_complete");
  if (complete == nullptr || !complete->is_bool()) return false;
  complete_ = complete->get_bool();
  adopted_ = number_in(*object, "adopted");
  const std::int64_t scanned = number_in(*object, "adoption_scanned");
  expected_ = number_in(*object, "adoption_expected");
  trouble_ = trouble_in(*object);
  if (first_ms_ < 0 || scanned < scanned_) {
    first_ms_ = now_ms;
    first_scanned_ = scanned;
  }
  scanned_ = scanned;
  now_ms_ = now_ms;
  return true;
}

double BackfillProgress::keys_per_second() const {
  if (now_ms_ <= first_ms_) return 0;
  return static_cast<double>(scanned_ - first_scanned_) * 1000 /
         static_cast<double>(now_ms_ - first_ms_);
}

std::optional<std::int64_t> BackfillProgress::seconds_left() const {
  const double rate = keys_per_second();
  if (complete_ || rate < 1) return std::nullopt;
  const auto keys_left = static_cast<double>(std::max<std::int64_t>(expected_ - scanned_, 0));
  return static_cast<std::int64_t>(keys_left / rate) + 1;
}

std::string BackfillProgress::line() const {
  // SCAN shows some keys twice, and keys are made meanwhile: only the end is the end.
  const std::int64_t percent = complete_ ? 100
                               : expected_ <= 0
                                   ? 0
                                   : std::clamp<std::int64_t>(scanned_ * 100 / expected_, 0, 99);
  const auto filled = static_cast<std::size_t>(percent * kBarWidth / 100);
  std::string out = fmt::format("[{}{}] {:3}%  ", std::string(filled, '#'),
                                std::string(kBarWidth - filled, '.'), percent);
  if (complete_) {
    return out + fmt::format("{} keys seen, {} taken over since the start", grouped(scanned_),
                             grouped(adopted_));
  }
  out += fmt::format("{} of {} keys", grouped(scanned_), grouped(std::max(expected_, scanned_)));
  if (!trouble_.empty()) return out + ", " + trouble_;
  const auto left = seconds_left();
  if (!left) return out;
  return out + fmt::format(", {}/s, {} s left",
                           grouped(static_cast<std::int64_t>(keys_per_second())), *left);
}

std::string BackfillProgress::json() const {
  json::object out = {{"complete", complete_},
                      {"scanned", scanned_},
                      {"expected", expected_},
                      {"adopted", adopted_},
                      {"keys_per_s", static_cast<std::int64_t>(keys_per_second())}};
  const auto left = seconds_left();
  out["seconds_left"] = left ? json::value(*left) : json::value(nullptr);
  if (!trouble_.empty()) out["waits"] = trouble_;
  return json::serialize(out);
}

}  // namespace stayd
