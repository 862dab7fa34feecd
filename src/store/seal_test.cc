// What is sealed opens with its key at its place, and nowhere else.
#include "store/seal.h"

#include <gtest/gtest.h>

#include <set>

#include "base/hex.h"
#include "store/key_ring.h"
#include "store/value_codec.h"

namespace stayd {
namespace {

SecretKey key_of(char byte) {
  return SecretKey(std::string(SecretKey::kBytes, byte));
}

// The two vectors of c2sp.org/XAES-256-GCM; one takes each branch of the subkey's doubling.
TEST(Seal, KnownAnswers) {
  const std::string nonce = "ABCDEFGHIJKLMNOPQRSTUVWX";
  std::string out;
  Sealer(key_of(1)).seal_with(nonce, "XAES-256-GCM", {}, out);
  EXPECT_EQ(to_hex(out.substr(24)), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
  out.clear();
  Sealer(key_of(3)).seal_with(nonce, "XAES-256-GCM", {"c2sp.org/", "XAES-256-GCM"}, out);
  EXPECT_EQ(to_hex(out.substr(24)), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
  EXPECT_EQ(out.substr(0, 24), nonce);
}

TEST(Seal, HmacKnownAnswer) {  // RFC 4231, case 2, by a key padded with zeros
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", {"what do ya want ", "for nothing?"})),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Seal, OpensOnlyAsItWas) {
  Sealer sealer(key_of(1));
  std::string sealed;
  sealer.seal("secret", {"place"}, sealed);
  EXPECT_EQ(sealer.open(sealed, {"place"}), "secret");
  EXPECT_EQ(sealer.open(sealed, {"pl", "ace"}), "secret");
  EXPECT_EQ(sealer.open(sealed, {"other"}), std::nullopt);
  EXPECT_EQ(sealer.open(sealed, {}), std::nullopt);
  EXPECT_EQ(Sealer(key_of(2)).open(sealed, {"place"}), std::nullopt);
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = sealed;
      changed[i] = static_cast<char>(changed[i] ^ 1 << bit);
      EXPECT_EQ(sealer.open(changed, {"place"}), std::nullopt) << i << ", " << bit;
    }
    EXPECT_EQ(sealer.open(std::string_view(sealed).substr(0, i), {"place"}), std::nullopt) << i;
  }
  EXPECT_EQ(sealer.open(sealed + "x", {"place"}), std::nullopt);
  EXPECT_EQ(sealer.open(sealed, {"place"}), "secret") << "a failure must leave nothing behind";
}

TEST(Seal, EmptyAndLarge) {
  Sealer sealer(SecretKey::random());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{3} << 20}) {
    const std::string plain(size, 'x');
    std::string sealed;
    sealer.seal(plain, {"a"}, sealed);
    EXPECT_EQ(sealed.size(), size + Sealer::kOverhead);
    EXPECT_EQ(sealer.open(sealed, {"a"}), plain);
  }
}

TEST(Seal, NoNonceTwice) {
  Sealer one(key_of(1)), other(key_of(1));
  std::set<std::string> nonces;
  for (int i = 0; i < 1'000; ++i) {
    for (Sealer* sealer : {&one, &other}) {
      std::string sealed;
      sealer->seal("", {}, sealed);
      EXPECT_TRUE(nonces.insert(sealed.substr(0, Sealer::kNonceBytes)).second);
    }
  }
}

TEST(MasterKeys, HexAndBase64) {
  const std::string as_hex(64, 'f');
  const std::string as_base64 = std::string(42, '/') + "8=";
  const auto keys = parse_master_keys("\n" + as_hex + ",\t" + as_base64 + "\n");
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0], key_of('\xff'));
  EXPECT_EQ((*keys)[1], key_of('\xff'));
  EXPECT_EQ(master_key_id(key_of(1)).size(), 16u);
}

TEST(MasterKeys, MistakesTellNothingOfTheKey) {
  for (const std::string& text :
       {std::string(), std::string("hunter2"), std::string(63, 'a'), std::string(64, 'g'),
        std::string(45, 'a'), std::string(64, 'a') + " hunter2"}) {
    const auto keys = parse_master_keys(text);
    ASSERT_FALSE(keys) << text;
    EXPECT_EQ(keys.error().code, Errc::invalid);
    EXPECT_EQ(keys.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(KeyRing, OpensUnderItsMasterKeyOnly) {
  const KeyRing ring = KeyRing::make();
  const std::string bytes = ring.wrap(key_of(1), "ledger");
  EXPECT_EQ(KeyRing::master_of(bytes), master_key_id(key_of(1)));
  const auto again = KeyRing::unwrap(bytes, {key_of(2), key_of(1)}, "ledger");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->active().key, ring.active().key);
  EXPECT_EQ(again->name_key(), ring.name_key());
  EXPECT_EQ(KeyRing::unwrap(bytes, {key_of(2)}, "ledger").error().code, Errc::invalid);
  EXPECT_EQ(KeyRing::unwrap(bytes, {key_of(1)}, "backup").error().code, Errc::corrupt);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_FALSE(KeyRing::unwrap(changed, {key_of(1)}, "ledger")) << i;
    EXPECT_FALSE(KeyRing::unwrap(std::string_view(bytes).substr(0, i), {key_of(1)}, "ledger")) << i;
  }
}

TEST(KeyRing, OldDataKeysStayUntilNothingIsSealedUnderThem) {
  KeyRing ring = KeyRing::make();
  ASSERT_TRUE(ring.add_data_key(false));
  EXPECT_EQ(ring.active().id, 2u);
  EXPECT_EQ(ring.data_keys().size(), 2u);
  ASSERT_TRUE(ring.add_data_key(true));
  EXPECT_EQ(ring.active().id, 3u);
  EXPECT_EQ(ring.data_keys().size(), 2u);
  while (ring.add_data_key(false)) {
  }
  EXPECT_EQ(ring.data_keys().size(), KeyRing::kMaxDataKeys);
  const auto again = KeyRing::unwrap(ring.wrap(key_of(1), "x"), {key_of(1)}, "x");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->data_keys().size(), KeyRing::kMaxDataKeys);
}

struct Packed : ::testing::Test {
  Packed() { sealing.set_ring(std::make_shared<KeyRing>(ring)); }
  KeyRing ring = KeyRing::make();
  ValueCodec sealing;
  const std::string text = std::string(500, 'a') + "end";
};

TEST_F(Packed, EveryWayUnpacks) {
  for (const bool zstd : {false, true}) {
    for (const bool sealed : {false, true}) {
      ValueCodec codec;
      codec.set_compression(zstd);
      if (sealed) codec.set_ring(std::make_shared<KeyRing>(ring));
      EXPECT_EQ(codec.packs(), zstd || sealed);
      for (const std::string& value : {std::string(), std::string("short"), text}) {
        const std::string bytes = codec.pack(value, {"r", "", "place"});
        if (zstd && value == text) EXPECT_LT(bytes.size(), 100u);
        EXPECT_EQ(ValueCodec::sealed_under(bytes), sealed ? 1u : 0u);
        EXPECT_EQ(sealing.unpack(bytes, {"r", "", "place"}).value(), value);
      }
    }
  }
}

TEST_F(Packed, OpensAtItsPlaceOnly) {
  const std::string bytes = sealing.pack(text, {"r", "", "place"});
  EXPECT_EQ(sealing.unpack(bytes, {"r", "", "other"}).error().code, Errc::corrupt);
  EXPECT_EQ(sealing.unpack(bytes, {"e", "", "place"}).error().code, Errc::corrupt);
  ValueCodec without;
  EXPECT_EQ(without.unpack(bytes, {"r", "", "place"}).error().code, Errc::corrupt);
}

TEST_F(Packed, ChangedBytesAreErrors) {
  sealing.set_compression(true);
  const std::string bytes = sealing.pack(text, {"r", "", "place"});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(sealing.unpack(std::string_view(bytes).substr(0, i), {"r", "", "place"})) << i;
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto got = sealing.unpack(changed, {"r", "", "place"});
    EXPECT_TRUE(!got || *got != text) << i;
    // What is sealed cannot be passed off as something else that is sealed.
    if (i >= 2) EXPECT_FALSE(got) << i;
  }
  EXPECT_EQ(sealing.unpack("\x02\x01", {"r", "", "place"}).error().code, Errc::newer_format);
}

TEST_F(Packed, ANewDataKeyIsUsedAndTheOldOneOpens) {
  const std::string before = sealing.pack(text, {"r", "", "place"});
  ASSERT_TRUE(ring.add_data_key(false));
  sealing.set_ring(std::make_shared<KeyRing>(ring));
  EXPECT_EQ(ValueCodec::sealed_under(sealing.pack(text, {"r", "", "place"})), 2u);
  EXPECT_EQ(sealing.unpack(before, {"r", "", "place"}).value(), text);
}

TEST_F(Packed, NamesAreHashedByPlace) {
  EXPECT_EQ(sealing.hashed("a", "name"), sealing.hashed("a", "name"));
  EXPECT_NE(sealing.hashed("a", "name"), sealing.hashed("b", "name"));
  EXPECT_EQ(sealing.hashed("a", "name").size(), ValueCodec::kNameBytes);
}

}  // namespace
}  // namespace stayd
