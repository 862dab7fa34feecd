#include "proxy/pubsub_hub.h"

#include <algorithm>

#include "core/policy.h"

namespace stayd {

void PubSubHub::set_upstream(UpstreamPubSub* upstream) {
  upstream_ = upstream;
  for (Topics* topics : {&channels_, &patterns_}) {
    for (auto& [name, topic] : *topics) {
      topic.ready = upstream == nullptr;
      want(*topics, name, true);
    }
  }
  if (upstream == nullptr) release_ready();
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
  want(topics, name, false);
  topics.erase(it);
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
    if (all_ready(channels_, *listener) && all_ready(patterns_, *listener)) {
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
  const auto it = channels_.find(channel);
  if (it == channels_.end()) return;
  for (PubSubListener* listener : it->second.listeners) listener->push_message(channel, payload);
}

void PubSubHub::on_pmessage(std::string_view pattern, std::string_view channel,
                            std::string_view payload) {
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

std::size_t PubSubHub::listeners(std::string_view channel) const {
  const auto it = channels_.find(channel);
  return it == channels_.end() ? 0 : it->second.listeners.size();
}

}  // namespace stayd
