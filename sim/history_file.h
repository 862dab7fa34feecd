// A history of real clients as a file, checked key by key like one of the simulator's.
//
// The file: one JSON object a line for one operation on one key, in any order,
//
//   {"key": "sess:1", "client": 3, "ask_us": 1200, "end_us": 1900, "outcome": "told",
//    "commands": [["SET", "sess:1", "v1", "EX", "3600"]], "block": false, "reply": "+OK"}
//
// `outcome`: "told" (`reply` in the form of `normalise`), "done" (its answer does not matter),
// "doubt" (no answer: it may have taken effect, and may still), "refused" (certainly not done).
// `note` says why, for doubt and refused. Times in microseconds of one clock for all clients, taken
// before the command was sent and after its reply was read. Lines without "key" are skipped. Single
// thread; owns its histories.
#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/history.h"

namespace stayd::sim {

struct RecordedOperation {
  std::string key;
  int client = 0;
  std::int64_t ask_us = 0;
  std::int64_t end_us = 0;
  Operation operation;
  std::string outcome;
  std::string reply;  // or the note
};

struct KeyVerdict {
  std::string key;
  std::int64_t at_us = 0;  // the end of the impossible operation
  Wrong wrong = Wrong::nothing;
  std::string why;
  std::string history;  // readable, one line an event
};

struct FileVerdict {
  std::uint64_t operations = 0;
  std::uint64_t in_doubt = 0;
  std::uint64_t keys = 0;
  std::uint64_t given_up = 0;          // keys with more in doubt than can be checked
  std::vector<KeyVerdict> violations;  // the first of each key
};

// Nothing and `error` set ("line 3: ...") if a line is not what is described above.
std::optional<std::vector<RecordedOperation>> read_history(std::istream& in, std::string& error);
FileVerdict check_history(const std::vector<RecordedOperation>& operations);

}  // namespace stayd::sim
