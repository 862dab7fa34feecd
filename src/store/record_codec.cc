#include "store/record_codec.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "store/bytes.h"

namespace stayd {
namespace {

constexpr std::size_t kHeaderBytes = 2;

Error corrupt(std::size_t offset, std::string_view what) {
  return make_error(Errc::corrupt, fmt::format("value: byte {}: {}", offset, what));
}

void append_u32(std::string& out, std::size_t number) {
  STAYD_ASSERT(number <= std::numeric_limits<std::uint32_t>::max());
  char bytes[4];
  put_little(bytes, static_cast<std::uint32_t>(number));
  out.append(bytes, sizeof bytes);
}

void append_score(std::string& out, double score) {
  char bytes[8];
  put_little(bytes, std::bit_cast<std::uint64_t>(score));
  out.append(bytes, sizeof bytes);
}

void append_part(std::string& out, std::string_view part) {
  append_u32(out, part.size());
  out += part;
}

struct Writer {
  std::string& out;

  void operator()(const std::monostate&) { STAYD_ASSERT(false); }
  void operator()(const std::string& value) { out += value; }
  void operator()(const OpaqueValue& value) { out += value.dump; }
  void operator()(const HashValue& value) {
    append_u32(out, value.size());
    for (const auto& [field, content] : value) {
      append_part(out, field);
      append_part(out, content);
    }
  }
  void operator()(const SetValue& value) {
    append_u32(out, value.size());
    for (const std::string& member : value) append_part(out, member);
  }
  void operator()(const SortedSetValue& value) {
    append_u32(out, value.size());
    for (const auto& [score, member] : value.ordered()) {
      append_score(out, score);
      append_part(out, member);
    }
  }
};

// Reads on until something is missing; then every further read fails too.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::optional<std::uint32_t> u32() {
    if (!take(4, "ends inside a number")) return std::nullopt;
    return get_little<std::uint32_t>(bytes_.data() + at_ - 4);
  }
  std::optional<double> score() {
    if (!take(8, "ends inside a score")) return std::nullopt;
    const auto out = std::bit_cast<double>(get_little<std::uint64_t>(bytes_.data() + at_ - 8));
    if (std::isnan(out)) return fail(at_ - 8, "a score that is not a number");
    return out;
  }
  std::optional<std::string_view> part() {
    const auto size = u32();
    if (!size || !take(*size, "ends inside a part")) return std::nullopt;
    return bytes_.substr(at_ - *size, *size);
  }
  std::nullopt_t fail(std::size_t offset, std::string_view what) {
    if (!error_) error_ = corrupt(offset, what);
    return std::nullopt;
  }
  std::size_t at() const { return at_; }
  // After the last element.
  std::optional<Error> end() {
    if (at_ != bytes_.size()) fail(at_, "more than its elements");
    return error_;
  }

 private:
  bool take(std::size_t size, std::string_view what) {
    if (error_) return false;
    if (bytes_.size() - at_ < size) {
      fail(bytes_.size(), what);
      return false;
    }
    at_ += size;
    return true;
  }

  std::string_view bytes_;
  std::size_t at_ = kHeaderBytes;
  std::optional<Error> error_;
};

constexpr std::string_view kDisorder = "elements out of order";

void read_hash(Reader& reader, std::uint32_t count, HashValue& out) {
  for (; count > 0; --count) {
    const std::size_t at = reader.at();
    const auto field = reader.part();
    const auto content = reader.part();
    if (!content) return;
    if (!out.empty() && out.rbegin()->first >= *field) return void(reader.fail(at, kDisorder));
    out.emplace_hint(out.end(), *field, *content);
  }
}

void read_set(Reader& reader, std::uint32_t count, SetValue& out) {
  for (; count > 0; --count) {
    const std::size_t at = reader.at();
    const auto member = reader.part();
    if (!member) return;
    if (!out.empty() && *out.rbegin() >= *member) return void(reader.fail(at, kDisorder));
    out.emplace_hint(out.end(), *member);
  }
}

void read_zset(Reader& reader, std::uint32_t count, SortedSetValue& out) {
  for (; count > 0; --count) {
    const std::size_t at = reader.at();
    const auto score = reader.score();
    const auto member = reader.part();
    if (!member) return;
    const std::pair<double, std::string> next(*score, *member);
    if (!out.empty() && *out.ordered().rbegin() >= next) return void(reader.fail(at, kDisorder));
    if (!out.set(*member, *score)) return void(reader.fail(at, "a member twice"));
  }
}

template <class Value, class Read>
Result<Record> read_elements(std::string_view bytes, Read read) {
  Reader reader(bytes);
  Value value;
  if (const auto count = reader.u32()) read(reader, *count, value);
  if (const auto error = reader.end()) return *error;
  Record record;
  record.value = std::move(value);
  return record;
}

}  // namespace

std::string encode_value(const Record& record) {
  std::string out;
  out.push_back(static_cast<char>(kValueVersion));
  out.push_back(static_cast<char>(record.type()));
  std::visit(Writer{out}, record.value);
  return out;
}

Result<Record> decode_value(std::string_view bytes) {
  if (bytes.empty()) return corrupt(0, "empty");
  const auto version = static_cast<std::uint8_t>(bytes[0]);
  if (version > kValueVersion) {
    return make_error(Errc::newer_format, fmt::format("value: byte 0: version {}, this stayd reads "
                                                      "up to {}",
                                                      version, kValueVersion));
  }
  if (version == 0) return corrupt(0, "version 0");
  if (bytes.size() < kHeaderBytes) return corrupt(1, "ends before the type");
  const auto type = static_cast<std::uint8_t>(bytes[1]);
  Record record;
  switch (static_cast<ValueType>(type)) {
    case ValueType::string:
      record.value = std::string(bytes.substr(kHeaderBytes));
      return record;
    case ValueType::opaque:
      record.value = OpaqueValue{std::string(bytes.substr(kHeaderBytes))};
      return record;
    case ValueType::hash:
      return read_elements<HashValue>(bytes, read_hash);
    case ValueType::set:
      return read_elements<SetValue>(bytes, read_set);
    case ValueType::zset:
      return read_elements<SortedSetValue>(bytes, read_zset);
    case ValueType::none:
      break;
  }
  return corrupt(1, fmt::format("type {}", type));
}

std::string encode_value(const Record& record, ValueCodec& values, std::string_view key) {
  std::string plain = encode_value(record);
  if (!values.packs()) return plain;
  return std::string(1, static_cast<char>(kPackedValueVersion)) +
         values.pack(plain, {"b", "", key});
}

Result<Record> decode_value(std::string_view bytes, ValueCodec& values, std::string_view key) {
  if (bytes.empty() || static_cast<std::uint8_t>(bytes[0]) != kPackedValueVersion) {
    return decode_value(bytes);
  }
  const Result<std::string> plain = values.unpack(bytes.substr(1), {"b", "", key});
  if (!plain) return plain.error();
  return decode_value(*plain);
}

}  // namespace stayd
