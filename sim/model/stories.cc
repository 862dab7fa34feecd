#include "sim/model/story.h"

namespace stayd::sim::model {

namespace {

Operation one(Words words) {
  return {.commands = {std::move(words)}};
}
Operation block(std::vector<Words> commands) {
  return {.commands = std::move(commands), .block = true};
}
Operation get() {
  return one({"GET", kKey});
}
Operation set(const char* value) {
  return one({"SET", kKey, value});
}
Operation incr() {
  return one({"INCR", kKey});
}
Operation hgetall() {
  return one({"HGETALL", kKey});
}
Operation del() {
  return one({"DEL", kKey});
}

Record text(const char* value) {
  Record record;
  record.value = value;
  return record;
}
Record hash(const char* field, const char* value) {
  Record record;
  record.value = HashValue{{field, value}};
  return record;
}

std::vector<Fault> every_fault() {
  return {Fault::lose,  Fault::lose_late, Fault::restart, Fault::empty, Fault::split, Fault::flush,
          Fault::evict, Fault::freeze,    Fault::kill,    Fault::pause, Fault::delay};
}

std::vector<Fault> every_fault_but(Fault one) {
  std::vector<Fault> others = every_fault();
  std::erase(others, one);
  return others;
}

}  // namespace

std::vector<Fault> faults_named(const std::string& names) {
  static constexpr const char* kNames[] = {"lose",  "lose_late", "restart", "empty",
                                           "split", "flush",     "evict",   "freeze",
                                           "kill",  "pause",     "delay"};
  std::vector<Fault> found;
  for (const Fault fault : every_fault()) {
    const std::string wanted = std::string(",") + kNames[static_cast<std::size_t>(fault)] + ",";
    if (("," + names + ",").find(wanted) != std::string::npos) found.push_back(fault);
  }
  return found;
}

std::vector<Story> warm_up_stories() {
  const std::vector<Operation> strings = {get(),
                                          one({"SET", kKey, "1", "NX"}),
                                          del(),
                                          get(),
                                          one({"SET", kKey, "1", "NX"}),
                                          one({"INCR", kKey}),
                                          one({"EXPIRE", kKey, "3600"}),
                                          del(),
                                          one({"EXPIRE", kKey, "3600"}),
                                          set("2")};
  const std::vector<Operation> hashes = {one({"HGETALL", kKey}),
                                         one({"HSET", kKey, "f", "1"}),
                                         block({{"DEL", kKey}, {"HSET", kKey, "f", "2"}}),
                                         one({"HSET", kKey, "g", "1"}),
                                         del(),
                                         one({"HGETALL", kKey}),
                                         one({"HSET", kKey, "f", "3"})};
  return {
      {.name = "strings", .tabs = {{strings}}, .faults = every_fault(), .initial = text("0")},
      {.name = "hashes", .tabs = {{hashes}}, .faults = every_fault(), .initial = hash("f", "0")}};
}

std::vector<Story> all_stories() {
  std::vector<Story> all;
  // Two faults. The longest come first: they decide how long all take.
  all.push_back({.name = "over",
                 .about = "a logout, then a read",
                 .tabs = {{{del(), get()}}},
                 .faults = every_fault(),
                 .ci_faults = 2,
                 .initial = text("old")});
  all.push_back({.name = "kept",
                 .about = "a save, then a read",
                 .tabs = {{{set("new"), get()}}},
                 .faults = every_fault(),
                 .ci_faults = 2,
                 .initial = text("old")});
  // One fault, two at night.
  all.push_back({.name = "logout",
                 .about = "one tab logs out, another one reads",
                 .tabs = {{{del()}}, {{get()}}},
                 .faults = every_fault(),
                 .ci_faults = 1,
                 .nightly_faults = 2,
                 .initial = text("old")});
  all.push_back({.name = "save",
                 .about = "one tab saves, another one reads",
                 .tabs = {{{set("new")}}, {{get()}}},
                 .faults = every_fault(),
                 .ci_faults = 1,
                 .nightly_faults = 2,
                 .initial = text("old")});
  all.push_back({.name = "leave",
                 .about = "save and log out, another tab reads twice",
                 .tabs = {{{set("new"), del()}}, {{get(), get()}}},
                 .faults = every_fault(),
                 .initial = text("old")});
  all.push_back({.name = "return",
                 .about = "log out and in again, another tab reads twice",
                 .tabs = {{{del(), set("new")}}, {{get(), get()}}},
                 .faults = every_fault(),
                 .initial = text("old")});
  all.push_back({.name = "saves",
                 .about = "two saves of one tab, one of another, and reads",
                 .tabs = {{{set("a"), set("b")}}, {{set("c"), get()}}},
                 .faults = every_fault(),
                 .ci_faults = 0,
                 .nightly_faults = 1,
                 .initial = text("old")});
  all.push_back(
      {.name = "late",
       .about = "saves only if it is there, and touches, race with a logout",
       .tabs = {{{del()}},
                {{one({"SET", kKey, "late", "XX"}), one({"EXPIRE", kKey, "3600"}), get()}}},
       .faults = every_fault(),
       .ci_faults = 0,
       .nightly_faults = 1,
       .initial = text("old")});
  all.push_back(
      {.name = "lock",
       .about = "two tabs take one lock; the first one gives it back",
       .tabs = {{{one({"SET", kKey, "a", "NX"}), del()}}, {{one({"SET", kKey, "b", "NX"}), get()}}},
       .faults = every_fault(),
       .ci_faults = 0,
       .nightly_faults = 1});
  all.push_back({.name = "counter",
                 .about = "two tabs count",
                 .tabs = {{{incr(), incr()}}, {{incr(), get()}}},
                 .faults = every_fault(),
                 .ci_faults = 0,
                 .nightly_faults = 1,
                 .initial = text("0")});
  all.push_back({.name = "hash",
                 .about = "fields are saved in a hash that another tab removes",
                 .tabs = {{{one({"HSET", kKey, "f", "1", "g", "1"}), hgetall()}},
                          {{del(), one({"HSET", kKey, "f", "2"})}}},
                 .faults = every_fault(),
                 .ci_faults = 0,
                 .nightly_faults = 1,
                 .initial = hash("f", "0")});
  all.push_back(
      {.name = "block",
       .about = "MULTI removes and writes the session anew, another tab reads",
       .tabs = {{{block({{"DEL", kKey}, {"HSET", kKey, "f", "1"}})}}, {{hgetall(), hgetall()}}},
       .faults = every_fault(),
       .ci_faults = 0,
       .nightly_faults = 1,
       .initial = hash("f", "0")});
  // An eviction may be a logout where another stayd is about (W15): not among its faults.
  all.push_back({.name = "beside",
                 .about = "a logout at one of two stayds on one Redis, then a read",
                 .tabs = {{{del(), get()}, 0}},
                 .faults = every_fault_but(Fault::evict),
                 .ci_faults = 1,
                 .nightly_faults = 2,
                 .instances = 2,
                 .initial = text("old")});
  all.push_back({.name = "shared",
                 .about = "two stayds with ledgers of their own on one healthy Redis",
                 .tabs = {{{set("a"), del()}, 0}, {{get(), set("b")}, 1}},
                 .ci_faults = 0,
                 .nightly_faults = 0,
                 .instances = 2,
                 .initial = text("old"),
                 .weak = true});
  return all;
}

}  // namespace stayd::sim::model
