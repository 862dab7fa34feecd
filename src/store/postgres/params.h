// Parameters of prepared statements in PostgreSQL's binary format: arrays of one value for each row
// of a batch, and single values. Plain bytes; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

// An unsigned number as a bigint that keeps all of its bits and its order: less 2^63.
constexpr std::int64_t bigint_of(std::uint64_t number) {
  return static_cast<std::int64_t>(number ^ (std::uint64_t{1} << 63));
}
constexpr std::uint64_t unsigned_of(std::int64_t bigint) {
  return static_cast<std::uint64_t>(bigint) ^ (std::uint64_t{1} << 63);
}

// One parameter that is an array.
class ArrayParam {
 public:
  enum class Type : std::uint32_t { boolean = 16, bytea = 17, int8 = 20, int2 = 21 };  // type OIDs

  explicit ArrayParam(Type type) : type_(type) {}
  void add_bool(bool value) { add(std::string_view(value ? "\1" : "\0", 1)); }
  void add_bytes(std::string_view value) { add(value); }
  void add_null();
  void add_int8(std::int64_t value);
  void add_int2(std::int16_t value);
  std::string bytes() const;

 private:
  void add(std::string_view element);

  const Type type_;
  std::uint32_t count_ = 0;
  bool nulls_ = false;
  std::string elements_;
};

// The parameters of one execution, in order.
class Params {
 public:
  void add(std::string bytes) { values_.push_back(std::move(bytes)); }
  void add(const ArrayParam& array) { values_.push_back(array.bytes()); }
  void add_int8(std::int64_t value);
  void add_bool(bool value) { values_.emplace_back(1, value ? '\1' : '\0'); }
  int size() const { return static_cast<int>(values_.size()); }
  const std::string& operator[](std::size_t index) const { return values_[index]; }

 private:
  std::vector<std::string> values_;
};

}  // namespace stayd
