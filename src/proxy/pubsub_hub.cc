#include "proxy/pubsub_hub.h"

#include <algorithm>

#include "core/policy.h"
#include "core/side_keys.h"

namespace stayd {
namespace {

// A keyspace notification about one of stayd's own keys.
bool is_about_side_key(std::string_view channel, std::string_view payload) {
  if (!channel.starts_with("__key")) return false;
  if (channel.starts_with("__keyevent@")) return is_side_key(payload);
  const std::size_t key = channel.find("__:");
  return channel.starts_with("__keyspace@") && key != std::string_view::npos &&
         is_side_key(channel.substr(key + 3));
}

}  // namespace

void PubSubHub::set_upstream(UpstreamPubSub* upstream) {
  upstream_ = upstream;
  for (Topics* topics : {&channels_, &patterns_}) {
    for (auto& [name, topic] : *topics) {
      topic.ready = upstream == nullptr;
      want(*topics, name, true);
    }
  }
  leaving_.clear();
  release_ready();
}

void PubSubHub::want(const Topics& topics, std::string_view name, bool on) {
  if (upstream_ == nullptr) return;
  if (&topics == &channels_) {
    upstream_->want_channel(name, on);
  } else {
    upstream_->want_pattern(name, on);
  }
}

bool PubSubHub::add(Topics& topics, std::string_view name, PubSubListener& listener) {
  auto it = topics.find(name);
  const bool first = it == topics.end();
  if (first) {
    it = topics.emplace(std::string(name), Topic{}).first;
    it->second.ready = upstream_ == nullptr;
  }
  it->second.listeners.push_back(&listener);
  if (first) want(topics, name, true);  // may confirm at once
  return it->second.ready;
}

void PubSubHub::remove(Topics& topics, std::string_view name, PubSubListener& listener) {
  const auto it = topics.find(name);
  if (it == topics.end()) return;
  std::erase(it->second.listeners, &listener);
  if (!it->second.listeners.empty()) return;
  topics.erase(it);
  if (upstream_ == nullptr) return;
  leaving_.push_back({&topics, std::string(name), &listener});
  want(topics, name, false);  // may confirm at once
}

bool PubSubHub::subscribe(std::string_view channel, PubSubListener& listener) {
  return add(channels_, channel, listener);
}
bool PubSubHub::psubscribe(std::string_view pattern, PubSubListener& listener) {
  return add(patterns_, pattern, listener);
}
void PubSubHub::unsubscribe(std::string_view channel, PubSubListener& listener) {
  remove(channels_, channel, listener);
}
void PubSubHub::punsubscribe(std::string_view pattern, PubSubListener& listener) {
  remove(patterns_, pattern, listener);
}

void PubSubHub::await(PubSubListener& listener, Now now) {
  waiting_.push_back({&listener, now.mono_us + kReadyWaitUs});
  release_ready();
}

void PubSubHub::forget(PubSubListener& listener) {
  std::erase_if(waiting_, [&](const Waiting& w) { return w.listener == &listener; });
  for (Leaving& leaving : leaving_) {
    if (leaving.listener == &listener) leaving.listener = nullptr;
  }
}

bool PubSubHub::leaves(const PubSubListener& listener) const {
  return std::any_of(leaving_.begin(), leaving_.end(),
                     [&](const Leaving& leaving) { return leaving.listener == &listener; });
}

void PubSubHub::left(const Topics& topics, std::string_view name) {
  const auto it = std::find_if(leaving_.begin(), leaving_.end(), [&](const Leaving& leaving) {
    return leaving.topics == &topics && leaving.name == name;
  });
  if (it == leaving_.end()) return;
  leaving_.erase(it);
  if (!waiting_.empty()) release_ready();
}

void PubSubHub::on_upstream_down() {
  leaving_.clear();
  release_ready();
}

void PubSubHub::on_upstream_left(std::string_view channel) {
  left(channels_, channel);
}
void PubSubHub::on_upstream_pattern_left(std::string_view pattern) {
  left(patterns_, pattern);
}

bool PubSubHub::all_ready(const Topics& topics, const PubSubListener& listener) const {
  return std::none_of(topics.begin(), topics.end(), [&](const auto& entry) {
    const auto& list = entry.second.listeners;
    return !entry.second.ready && std::find(list.begin(), list.end(), &listener) != list.end();
  });
}

void PubSubHub::release_ready() {
  for (std::size_t i = 0; i < waiting_.size();) {
    PubSubListener* listener = waiting_[i].listener;
    if (!leaves(*listener) && all_ready(channels_, *listener) && all_ready(patterns_, *listener)) {
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      listener->on_subscribed();
    } else {
      ++i;
    }
  }
}

void PubSubHub::mark_ready(Topics& topics, std::string_view name) {
  const auto it = topics.find(name);
  if (it == topics.end() || it->second.ready) return;
  it->second.ready = true;
  if (!waiting_.empty()) release_ready();
}

void PubSubHub::on_upstream_ready(std::string_view channel) {
  mark_ready(channels_, channel);
}
void PubSubHub::on_upstream_pattern_ready(std::string_view pattern) {
  mark_ready(patterns_, pattern);
}

void PubSubHub::on_message(std::string_view channel, std::string_view payload) {
  if (is_about_side_key(channel, payload)) return;
  const auto it = channels_.find(channel);
  if (it == channels_.end()) return;
  for (PubSubListener* listener : it->second.listeners) listener->push_message(channel, payload);
}

void PubSubHub::on_pmessage(std::string_view pattern, std::string_view channel,
                            std::string_view payload) {
  if (is_about_side_key(channel, payload)) return;
  const auto it = patterns_.find(pattern);
  if (it == patterns_.end()) return;
  for (PubSubListener* listener : it->second.listeners) {
    listener->push_pmessage(pattern, channel, payload);
  }
}

std::size_t PubSubHub::publish(std::string_view channel, std::string_view payload) {
  std::size_t receivers = listeners(channel);
  on_message(channel, payload);
  for (const auto& [pattern, topic] : patterns_) {
    if (!glob_match(pattern, channel)) continue;
    receivers += topic.listeners.size();
    on_pmessage(pattern, channel, payload);
  }
  return receivers;
}

void PubSubHub::tick(Now now) {
  for (std::size_t i = 0; i < waiting_.size();) {
    if (waiting_[i].until_us > now.mono_us) {
      ++i;
      continue;
    }
    PubSubListener* listener = waiting_[i].listener;
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    listener->on_subscribed();
  }
}

std::vector<std::string_view> PubSubHub::channels(std::string_view pattern) const {
  std::vector<std::string_view> out;
  for (const auto& [name, topic] : channels_) {
    if (pattern.empty() || glob_match(pattern, name)) out.push_back(name);
  }
  return out;
}

std::int64_t PubSubHub::listeners_instead(std::string_view channel, std::int64_t counted) const {
  const auto it = channels_.find(channel);
  if (it == channels_.end()) return counted;
  const std::int64_t ours = it->second.ready ? 1 : 0;
  return std::max<std::int64_t>(0, counted - ours) +
         static_cast<std::int64_t>(it->second.listeners.size());
}

std::int64_t PubSubHub::receivers_instead(std::string_view channel, std::int64_t counted) const {
  std::int64_t receivers = listeners_instead(channel, counted);
  for (const auto& [pattern, topic] : patterns_) {
    if (!glob_match(pattern, channel)) continue;
    receivers += static_cast<std::int64_t>(topic.listeners.size()) - (topic.ready ? 1 : 0);
  }
  return std::max<std::int64_t>(0, receivers);
}

std::size_t PubSubHub::listeners(std::string_view channel) const {
  const auto it = channels_.find(channel);
  return it == channels_.end() ? 0 : it->second.listeners.size();
}

}  // namespace stayd
