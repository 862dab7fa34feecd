#include "store/record_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace stayd {
namespace {

using namespace std::string_literals;

Record of(decltype(Record::value) value) {
  Record record;
  record.value = std::move(value);
  return record;
}

SortedSetValue zset() {
  SortedSetValue out;
  out.set("low", -std::numeric_limits<double>::infinity());
  out.set("b\0\xff"s, 1.5);
  out.set("a", 1.5);
  return out;
}

std::vector<Record> samples() {
  return {of(""s),
          of("a\0\xff"s),
          of(HashValue{{"", ""}, {"f\0"s, "v\xff"s}, {"g", std::string(70'000, 'x')}}),
          of(SetValue{"", "\0"s, "m", "\xff"s}),
          of(zset()),
          of(OpaqueValue{"dump\0"s}),
          of(HashValue{})};
}

// The bytes of version 1 are in databases: these lines never change.
TEST(RecordCodec, BytesOfVersion1) {
  EXPECT_EQ(encode_value(of("a\0b"s)), "\1\1a\0b"s);
  EXPECT_EQ(encode_value(of(HashValue{{"f", "vv"}, {"g", ""}})),
            "\1\2\2\0\0\0\1\0\0\0f\2\0\0\0vv\1\0\0\0g\0\0\0\0"s);
  EXPECT_EQ(encode_value(of(SetValue{"m"})), "\1\3\1\0\0\0\1\0\0\0m"s);
  SortedSetValue one;
  one.set("m", 1.5);
  EXPECT_EQ(encode_value(of(one)), "\1\4\1\0\0\0\0\0\0\0\0\0\xf8\x3f\1\0\0\0m"s);
  EXPECT_EQ(encode_value(of(OpaqueValue{"d"})), "\1\5d"s);
}

TEST(RecordCodec, EveryValueComesBack) {
  for (const Record& record : samples())
    EXPECT_EQ(decode_value(encode_value(record)).value(), record);
}

TEST(RecordCodec, EveryCutOfACollectionIsNamed) {
  for (const Record& record : {of(HashValue{{"f", "vv"}}), of(SetValue{"m", "n"}), of(zset())}) {
    const std::string bytes = encode_value(record);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto cut = decode_value(std::string_view(bytes).substr(0, size));
      ASSERT_FALSE(cut) << size;
      EXPECT_EQ(cut.error().code, Errc::corrupt);
      EXPECT_NE(cut.error().message.find("byte " + std::to_string(size) + ":"), std::string::npos)
          << cut.error().message;
    }
  }
}

TEST(RecordCodec, DamageIsNamedByItsByte) {
  struct Case {
    std::string bytes;
    Errc code;
    const char* text;
  };
  const Case cases[] = {
      {"\0\1"s, Errc::corrupt, "byte 0: version 0"},
      {"\2\1"s, Errc::newer_format, "byte 0: version 2"},
      {"\1\0"s, Errc::corrupt, "byte 1: type 0"},
      {"\1\6"s, Errc::corrupt, "byte 1: type 6"},
      {"\1\3\2\0\0\0\1\0\0\0b\1\0\0\0a"s, Errc::corrupt, "byte 11: elements out of order"},
      {"\1\3\2\0\0\0\1\0\0\0b\1\0\0\0b"s, Errc::corrupt, "byte 11: elements out of order"},
      {"\1\3\1\0\0\0\1\0\0\0bc"s, Errc::corrupt, "byte 11: more than its elements"},
      {"\1\3\xff\xff\xff\xff"s, Errc::corrupt, "byte 6: ends inside a number"},
      {"\1\2\1\0\0\0\xff\xff\xff\xff"s, Errc::corrupt, "byte 10: ends inside a part"},
      {"\1\4\1\0\0\0\0\0\0\0\0\0\xf8\x7f\0\0\0\0"s, Errc::corrupt, "byte 6: a score that is not"},
      {"\1\4\2\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0m\0\0\0\0\0\0\xf8\x3f\1\0\0\0m"s, Errc::corrupt,
       "byte 19: a member twice"},
  };
  for (const Case& c : cases) {
    const auto value = decode_value(c.bytes);
    ASSERT_FALSE(value) << c.text;
    EXPECT_EQ(value.error().code, c.code) << c.text;
    EXPECT_NE(value.error().message.find(c.text), std::string::npos) << value.error().message;
  }
}

TEST(RecordCodec, RandomBytesNeverCrashAndWhatDecodesIsCanonical) {
  Random random(1);
  std::vector<std::string> encoded;
  for (const Record& record : samples()) encoded.push_back(encode_value(record).substr(0, 60));
  for (int i = 0; i < 50'000; ++i) {
    std::string bytes = encoded[random.below(encoded.size())];
    if (random.chance(20)) bytes.resize(random.below(60));
    for (std::uint64_t flips = random.below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    const auto value = decode_value(bytes);
    if (value) {
      EXPECT_EQ(encode_value(*value), bytes);
    }
  }
}

TEST(RecordCodec, SealedForItsKeyOnly) {
  ValueCodec values;
  Record record;
  record.value = HashValue{{"field", "value"}};
  EXPECT_EQ(encode_value(record, values, "k"), encode_value(record))
      << "off, the bytes are the same";
  values.set_ring(std::make_shared<KeyRing>(KeyRing::make()));
  const std::string bytes = encode_value(record, values, "k");
  EXPECT_EQ(bytes[0], 2);
  EXPECT_EQ(bytes.find("value"), std::string::npos);
  EXPECT_EQ(decode_value(bytes, values, "k").value(), record);
  EXPECT_EQ(decode_value(encode_value(record), values, "k").value(), record);
  EXPECT_EQ(decode_value(bytes, values, "other").error().code, Errc::corrupt);
  EXPECT_EQ(decode_value(bytes).error().code, Errc::newer_format) << "for whoever has no keys";
}

}  // namespace
}  // namespace stayd
