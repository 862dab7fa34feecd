// Strong reads of many rows, 100 in a request, what DynamoDB leaves out asked for again. Pure.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "store/dynamodb/exchange.h"
#include "store/dynamodb/item.h"

namespace stayd::dynamo {

class BatchGet {
 public:
  BatchGet(std::string table, bool with_values)
      : table_(std::move(table)), with_values_(with_values) {}

  void want(const FullKey& key) { keys_.push_back(key); }  // each once
  bool done() const { return keys_.empty(); }
  std::vector<Request> next();
  // Of what next() asked for. corrupt: not as DynamoDB answers.
  Result<void> take(const std::vector<Answer>& answers);
  // The last answers brought nothing: it is busy, and is to be asked after a pause.
  bool stuck() const { return stuck_; }

  // Null: there is no such row, or it was not read yet.
  const json::object* find(const FullKey& key) const;
  std::size_t bytes() const { return bytes_; }  // read, roughly, as base64

 private:
  const std::string table_;
  const bool with_values_;
  std::deque<FullKey> keys_;
  std::map<FullKey, json::object> found_;
  std::size_t bytes_ = 0;
  bool stuck_ = false;
};

}  // namespace stayd::dynamo
