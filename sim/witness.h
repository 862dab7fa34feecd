// For finding out why: every change of one key in Redis and in the ledgers, and whatever else
// happens, in the order of the key's history. Looks on only; the run and its hash stay the same.
#pragma once

#include <string>
#include <vector>

#include "sim/instance.h"
#include "sim/servers.h"

namespace stayd::sim {

class Witness {
 public:
  // All outlive the witness.
  Witness(const Servers& servers, const Instances& instances, FullKey key)
      : servers_(servers), instances_(instances), key_(std::move(key)) {}

  const FullKey& key() const { return key_; }
  // What has changed since the last time, a line each.
  std::vector<std::string> changes();

 private:
  const Servers& servers_;
  const Instances& instances_;
  FullKey key_;
  std::vector<std::string> in_redis_;  // by shard
  std::vector<std::string> in_ledgers_;
};

}  // namespace stayd::sim
