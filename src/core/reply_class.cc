#include "core/reply_class.h"

#include <array>

namespace stayd {
namespace {

struct Row {
  std::string_view word;
  ReplyClass reply_class;
};

constexpr std::array kRows{
    Row{"LOADING", ReplyClass::shard_out},    Row{"BUSY", ReplyClass::shard_out},
    Row{"MASTERDOWN", ReplyClass::shard_out}, Row{"CLUSTERDOWN", ReplyClass::shard_out},
    Row{"NOAUTH", ReplyClass::shard_out},     Row{"WRONGPASS", ReplyClass::shard_out},
    Row{"TRYAGAIN", ReplyClass::elsewhere},   Row{"READONLY", ReplyClass::wrong_node},
    Row{"UNBLOCKED", ReplyClass::wrong_node}, Row{"OOM", ReplyClass::no_memory},
    Row{"MISCONF", ReplyClass::no_writes},    Row{"NOREPLICAS", ReplyClass::no_writes},
    Row{"NOSCRIPT", ReplyClass::no_script},   Row{kGuardMiss, ReplyClass::guard_miss},
    Row{"NOPERM", ReplyClass::denied},        Row{"MOVED", ReplyClass::elsewhere},
    Row{"ASK", ReplyClass::elsewhere},
};

}  // namespace

ReplyClass classify_reply(std::string_view frame) {
  if (frame.empty() || frame[0] != '-') return ReplyClass::ordinary;
  frame.remove_prefix(1);
  const auto word = frame.substr(0, frame.find_first_of(" \r"));
  for (const Row& row : kRows) {
    if (row.word == word) return row.reply_class;
  }
  if (frame.starts_with("ERR max number of clients reached")) return ReplyClass::shard_out;
  return ReplyClass::ordinary;
}

}  // namespace stayd
