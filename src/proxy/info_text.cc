#include "proxy/info_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "core/policy.h"
#include "resp/command_table.h"
#include "resp/reply.h"

namespace stayd {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

std::string server_section(const PortContext& context) {
  const std::int64_t uptime_s = (context.now.mono_us - context.facts.started_mono_us) / 1'000'000;
  return fmt::format(
      "# Server\r\nredis_version:{}\r\nredis_mode:standalone\r\nos:Linux\r\narch_bits:64\r\n"
      "process_id:{}\r\nrun_id:{}\r\ntcp_port:{}\r\nserver_time_usec:{}\r\n"
      "uptime_in_seconds:{}\r\nuptime_in_days:{}\r\n",
      kRedisVersion, context.facts.process_id, context.facts.run_id, context.facts.tcp_port,
      context.now.wall_ms * 1000, uptime_s, uptime_s / 86'400);
}

std::string section_text(const PortContext& context, std::string_view section) {
  if (section == "server") return server_section(context);
  if (section == "clients") {
    return fmt::format(
        "# Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\n",
        context.sessions.size(), context.limits.max_clients);
  }
  if (section == "memory") return "# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
  if (section == "persistence") return "# Persistence\r\nloading:0\r\nasync_loading:0\r\n";
  if (section == "replication") {
    return "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
           "master_failover_state:no-failover\r\nmaster_repl_offset:0\r\n";
  }
  if (section == "cluster") return "# Cluster\r\ncluster_enabled:0\r\n";
  // No counts: what Redis holds cannot be known now, and "nothing" would be a lie.
  if (section == "keyspace") return "# Keyspace\r\n";
  return {};
}

constexpr std::array kSections = {"server",      "clients", "memory",  "persistence",
                                  "replication", "cluster", "keyspace"};

const std::map<std::string, std::string, std::less<>>& default_config() {
  static const std::map<std::string, std::string, std::less<>> values = {
      {"timeout", "0"},
      {"databases", "16"},
      {"replica-read-only", "yes"},
      {"slave-read-only", "yes"},
      {"notify-keyspace-events", ""},
      {"save", ""},
      {"appendonly", "no"},
      {"maxmemory", "0"},
      {"maxmemory-policy", "noeviction"},
  };
  return values;
}

// The value of `field` replaced by `value`, up to the end of its line.
void replace_field(std::string& text, std::string_view field, std::string_view value) {
  std::size_t at = text.find(field);
  while (at != std::string::npos && at != 0 && text[at - 1] != '\n') {
    at = text.find(field, at + 1);
  }
  if (at == std::string::npos) return;
  const std::size_t begin = at + field.size();
  const std::size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
  text.replace(begin, end - begin, value);
}

}  // namespace

std::string local_info(const PortContext& context, const Args& args) {
  std::vector<std::string> wanted;
  bool all = args.size() < 2;
  for (std::size_t i = 1; i < args.size(); ++i) {
    wanted.push_back(lower(args[i]));
    const std::string& name = wanted.back();
    all = all || name == "all" || name == "default" || name == "everything";
  }
  std::string out;
  for (const char* section : kSections) {
    if (!all && std::find(wanted.begin(), wanted.end(), section) == wanted.end()) continue;
    if (!out.empty()) out += "\r\n";
    out += section_text(context, section);
  }
  return out;
}

std::string rewrite_info(std::string_view reply) {
  const ReplyView view(reply);
  if (view.type() != ReplyType::bulk && view.type() != ReplyType::verbatim) {
    return std::string(reply);
  }
  std::string text(view.text());
  replace_field(text, "role:", "master");
  replace_field(text, "redis_mode:", "standalone");
  replace_field(text, "cluster_enabled:", "0");
  std::string out;
  if (view.type() == ReplyType::bulk) {
    write_bulk(out, text);
  } else {
    write_verbatim(out, text);
  }
  return out;
}

void append_config(std::string& out, const PortContext& context, const Args& args) {
  std::map<std::string, std::string, std::less<>> found;
  for (std::size_t i = 2; i < args.size(); ++i) {
    const std::string pattern = lower(args[i]);
    for (const auto* values : {&default_config(), &context.config}) {
      for (const auto& [name, value] : *values) {
        if (glob_match(pattern, name)) found[name] = value;
      }
    }
  }
  write_map(out, found.size());
  for (const auto& [name, value] : found) {
    write_bulk(out, name);
    write_bulk(out, value);
  }
}

}  // namespace stayd
