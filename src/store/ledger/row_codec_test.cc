#include "store/ledger/row_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/hex.h"
#include "base/random.h"
#include "store/ledger/info.h"

namespace stayd {
namespace {

StoredRow sample() {
  StoredRow row;
  row.meta.state = RowState::live;
  row.meta.type = ValueType::string;
  row.meta.stale = true;
  row.meta.provisional = true;
  row.meta.incarnation = 0x01020304;
  row.meta.hlc = 0x1112131415161718;
  row.meta.expires_at_ms = 0x2122232425262728;
  row.meta.created_at_ms = -2;
  row.meta.tomb_until_ms = std::numeric_limits<std::int64_t>::min();
  row.meta.mark = {0x41424344, 0x5152535455565758};
  row.payload = std::string("a\0b", 3);
  return row;
}

// The bytes of version 1 are on disks: this line never changes.
TEST(RowCodec, BytesOfVersion1) {
  EXPECT_EQ(to_hex(encode_row(sample())),
            "01010103"
            "04030201"
            "1817161514131211"
            "2827262524232221"
            "feffffffffffffff"
            "0000000000000080"
            "44434241"
            "5857565554535251"
            "0000000000000000"
            "0000000000000000"
            "610062");
}

StoredRow fleet_sample() {
  StoredRow row = sample();
  row.meta.origin = 0x6162636465666768;
  row.meta.base = {0x7172737475767778, 0x8182838485868788};
  row.meta.unshipped = Unshipped::part;
  return row;
}

// Nor does this one.
TEST(RowCodec, BytesOfVersion2) {
  EXPECT_EQ(to_hex(encode_row(fleet_sample())),
            "02010113"
            "04030201"
            "1817161514131211"
            "2827262524232221"
            "feffffffffffffff"
            "0000000000000080"
            "44434241"
            "5857565554535251"
            "0000000000000000"
            "0000000000000000"
            "6867666564636261"
            "7877767574737271"
            "8887868584838281"
            "610062");
}

TEST(RowCodec, RowsOfAFleetComeBack) {
  StoredRow row = fleet_sample();
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
  row.meta.origin = 0;
  row.meta.base = {};
  row.meta.unshipped = Unshipped::whole;
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
  std::string bytes = encode_row(fleet_sample());
  for (std::size_t size = 0; size < kFleetHeaderBytes; ++size) {
    const auto cut = decode_row(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(cut) << size;
    EXPECT_NE(cut.error().message.find("byte " + std::to_string(size) + ":"), std::string::npos);
  }
  std::fill(bytes.begin() + kRowHeaderBytes, bytes.begin() + kFleetHeaderBytes, '\0');
  bytes[3] = 3;
  EXPECT_EQ(decode_row(bytes).error().code, Errc::corrupt) << "nothing of a fleet is version 1";
}

TEST(RowCodec, EveryRowComesBack) {
  EXPECT_EQ(decode_row(encode_row(sample())).value(), sample());
  StoredRow row;
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
  row.meta.state = RowState::live;
  row.meta.type = ValueType::zset;
  row.generation = 77;
  row.elements = 1ULL << 40;
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
  row = {};
  row.meta.state = RowState::tomb;
  row.meta.tomb_until_ms = 5;
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
}

TEST(RowCodec, AnAdoptedRowStaysOne) {
  StoredRow row = sample();
  row.meta.adopted = true;
  EXPECT_EQ(decode_row(encode_row(row)).value(), row);
}

TEST(RowCodec, TheHeaderAloneLeavesThePayload) {
  StoredRow row = decode_row_header(encode_row(sample())).value();
  EXPECT_EQ(row.meta, sample().meta);
  EXPECT_EQ(row.payload, "");
}

TEST(RowCodec, EveryCutOfTheHeaderIsNamed) {
  const std::string bytes = encode_row(sample());
  for (std::size_t size = 0; size < kRowHeaderBytes; ++size) {
    const auto row = decode_row(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(row) << size;
    EXPECT_EQ(row.error().code, Errc::corrupt);
    EXPECT_NE(row.error().message.find("byte " + std::to_string(size) + ":"), std::string::npos)
        << row.error().message;
  }
}

TEST(RowCodec, DamageIsNamedByItsByte) {
  struct Case {
    std::size_t offset;
    char value;
    Errc code;
    const char* text;
  };
  const Case cases[] = {
      {0, 0, Errc::corrupt, "byte 0: version 0"},
      {0, 5, Errc::newer_format, "byte 0: version 5"},
      {1, 3, Errc::corrupt, "byte 1: state 3"},
      {2, 6, Errc::corrupt, "byte 2: type 6"},
      {3, 8, Errc::corrupt, "byte 3: flags 0x8"},
      {3, 32, Errc::corrupt, "byte 3: flags 0x20"},      // of a packed row only
      {1, 2, Errc::corrupt, "byte 68: 3 bytes behind"},  // a tombstone with a value
      {2, 2, Errc::corrupt, "byte 68: 3 bytes behind"},  // a hash with a string
      {60, 1, Errc::corrupt, "byte 60: elements"},
  };
  for (const Case& c : cases) {
    std::string bytes = encode_row(sample());
    bytes[c.offset] = c.value;
    const auto row = decode_row(bytes);
    ASSERT_FALSE(row) << c.text;
    EXPECT_EQ(row.error().code, c.code) << c.text;
    EXPECT_NE(row.error().message.find(c.text), std::string::npos) << row.error().message;
  }
}

// A packed row is one version up, so that an older stayd does not take its bytes for the value.
TEST(RowCodec, BytesOfPackedRows) {
  for (StoredRow row : {sample(), fleet_sample()}) {
    const std::string plain = encode_row(row);
    row.packed = true;
    std::string packed = encode_row(row);
    EXPECT_EQ(decode_row(packed).value(), row);
    EXPECT_EQ(packed[0], plain[0] + 2);
    packed[0] = plain[0];
    EXPECT_EQ(packed, plain);
    row.payload.clear();
    row.meta.type = ValueType::hash;
    row.hashed = true;
    EXPECT_EQ(decode_row(encode_row(row)).value(), row);
    EXPECT_EQ(encode_row(row)[3] & 32, 32);
    row.hashed = false;
    row.meta.state = RowState::tomb;
    EXPECT_EQ(decode_row(encode_row(row)).error().code, Errc::corrupt);
  }
}

TEST(RowCodec, RandomBytesNeverCrashAndDecodedRowsAreCanonical) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    StoredRow row = random.chance(50) ? sample() : fleet_sample();
    row.packed = random.chance(50);
    std::string bytes = encode_row(row);
    bytes.resize(random.below(100));
    for (std::uint64_t flips = random.below(4); flips > 0 && !bytes.empty(); --flips) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    const auto decoded = decode_row(bytes);
    if (decoded) {
      EXPECT_EQ(encode_row(*decoded), bytes);
    }
  }
}

TEST(RowCodec, Scores) {
  for (const double score : {0.0, -0.0, 1.5, -1e300, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(decode_score(encode_score(score)).value(), score);
  }
  EXPECT_FALSE(decode_score("1234567"));
  EXPECT_FALSE(decode_score(encode_score(std::numeric_limits<double>::quiet_NaN())));
}

TEST(InfoCodec, ComesBackOrIsRefused) {
  LedgerInfo info;
  info.highest_hlc = 0x1112131415161718;
  info.next_generation = 9;
  std::swap(info.spaces[0], info.spaces[15]);
  const std::string bytes = encode_info(info);
  EXPECT_EQ(decode_info(bytes).value(), info);
  EXPECT_FALSE(decode_info(bytes.substr(1)));
  EXPECT_FALSE(decode_info(""));
  std::string twice = bytes;
  twice[17] = twice[18];
  EXPECT_EQ(decode_info(twice).error().code, Errc::corrupt);
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_EQ(decode_info(newer).error().code, Errc::newer_format);
}

}  // namespace
}  // namespace stayd
