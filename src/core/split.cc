#include "core/split.h"

#include <algorithm>
#include <map>

#include "base/slots.h"
#include "resp/reply.h"
#include "resp/request_parser.h"

namespace stayd {

namespace {

std::string sum_of(const std::vector<std::string>& replies) {
  std::int64_t sum = 0;
  for (const std::string& reply : replies) sum += ReplyView(reply).integer().value_or(0);
  std::string out;
  write_integer(out, sum);
  return out;
}

std::string in_place(const std::vector<Part>& parts, const std::vector<std::string>& replies) {
  std::map<std::uint32_t, std::string_view> whole;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto elements = ReplyView(replies[i]).elements();
    ReplyView element;
    for (const auto at : parts[i].elements) {
      if (elements.next(element)) whole[at] = element.frame();
    }
  }
  std::string out;
  write_array(out, whole.size());
  for (const auto& [at, frame] : whole) out.append(frame);
  return out;
}

std::string appended(const std::vector<std::string>& replies) {
  std::string elements;
  std::size_t count = 0;
  for (const std::string& reply : replies) {
    auto one = ReplyView(reply).elements();
    ReplyView element;
    for (; one.next(element); ++count) elements.append(element.frame());
  }
  std::string out;
  write_array(out, count);
  return out + elements;
}

}  // namespace

Join join_of_keys(const CommandSpec& spec) {
  const auto& name = spec.name;
  if (name == "del" || name == "unlink" || name == "exists" || name == "touch") return Join::sum;
  if (name == "mget") return Join::in_place;
  return name == "mset" ? Join::all_ok : Join::none;
}

Join join_of_all(const CommandSpec& spec) {
  const auto& name = spec.name;
  if (name == "keys") return Join::append;
  if (name == "randomkey") return Join::found;
  if (name == "dbsize" || name == "client|unblock") return Join::sum;
  const bool everywhere = name == "flushall" || name == "flushdb" || name == "script|load" ||
                          name == "script|flush" || name == "function|load" ||
                          name == "function|delete" || name == "function|flush" ||
                          name == "function|restore";
  return everywhere ? Join::all_ok : Join::none;
}

std::unique_ptr<Call> copy_of(const Call& call, const Args& args) {
  auto copy = std::make_unique<Call>();
  copy->spec = call.spec;
  copy->db = call.db;
  copy->client_id = call.client_id;
  append_request(copy->raw, args);
  // The arguments stand in it behind their lengths.
  std::size_t at = copy->raw.find('\n') + 1;
  for (const std::string_view arg : args) {
    at = copy->raw.find('\n', at) + 1;
    copy->args.emplace_back(copy->raw.data() + at, arg.size());
    at += arg.size() + 2;
  }
  return copy;
}

std::unique_ptr<Call> copy_of(const Call& call) {
  return copy_of(call, call.args);
}

std::vector<Part> split_by_slot(const Call& call, const std::vector<std::uint32_t>& positions) {
  struct Share {
    Args args;
    std::vector<std::uint32_t> elements;
  };
  std::map<Slot, Share> shares;
  const bool pairs = call.spec->name == "mset";
  for (std::uint32_t i = 0; i < positions.size(); ++i) {
    const std::size_t at = positions[i];
    Share& share = shares[slot_of(call.args[at])];
    if (share.args.empty()) share.args.push_back(call.args[0]);
    share.args.push_back(call.args[at]);
    if (pairs) share.args.push_back(call.args[at + 1]);
    share.elements.push_back(i);
  }
  std::vector<Part> parts;
  for (auto& [slot, share] : shares) {
    parts.push_back({copy_of(call, share.args), std::move(share.elements)});
  }
  return parts;
}

std::string join(Join how, const std::vector<Part>& parts,
                 const std::vector<std::string>& replies) {
  const auto wrong = std::ranges::find_if(replies, [](const auto& one) { return one[0] == '-'; });
  if (wrong != replies.end()) return *wrong;
  switch (how) {
    case Join::sum:
      return sum_of(replies);
    case Join::in_place:
      return in_place(parts, replies);
    case Join::append:
      return appended(replies);
    case Join::found: {
      const auto is_null = [](const std::string& reply) { return ReplyView(reply).is_null(); };
      const auto found = std::ranges::find_if_not(replies, is_null);
      return found == replies.end() ? replies.front() : *found;
    }
    default:
      return replies.front();
  }
}

}  // namespace stayd
