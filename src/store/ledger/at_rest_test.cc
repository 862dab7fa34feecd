// A ledger whose values are sealed: what is on disk, what opens it, and how keys change.
#include "store/ledger/at_rest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "store/ledger/element_codec.h"
#include "store/ledger/reader.h"
#include "store/ledger/rows.h"
#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

namespace fs = std::filesystem;

const FullKey kText = full_key(0, "sess:text");
const FullKey kHash = full_key(0, "sess:hash");
const FullKey kSet = full_key(3, "user:set");
const FullKey kScores = full_key(3, "user:scores");

class AtRest : public ::testing::Test {
 protected:
  AtRest() : path_(folder_.sub("ledger")) {}

  LedgerOptions options(AtRestOptions at_rest = {}) const {
    LedgerOptions out = TestLedger::options(path_);
    out.at_rest = std::move(at_rest);
    return out;
  }
  Error open_error(AtRestOptions at_rest) const {
    TestWaker waker;
    const auto opened = Ledger::open(options(std::move(at_rest)), waker);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }
  std::unique_ptr<Database> database() const {
    auto opened = Database::open(options(), path_ + "/db", Database::Mode::write);
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }
  LedgerReader::AtRestStats stats() const {
    const auto reader = open_reader(path_, nullptr);
    EXPECT_TRUE(reader);
    return (*reader)->at_rest_stats().value();
  }
  // Whether `text` stands in a file of the ledger.
  bool on_disk(const std::string& text) const {
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      if (!entry.is_regular_file()) continue;
      std::ostringstream bytes;
      bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      if (bytes.str().find(text) != std::string::npos) return true;
    }
    return false;
  }

  static void write_all(TestLedger& test) {
    test.apply(put(kText, 1, "needle-text"));
    Mutation hash = put(kHash, 2, "");
    hash.record.value = HashValue{{"needle-field", "needle-value"}, {"other", "x"}};
    test.apply(hash);
    Mutation set = put(kSet, 3, "");
    set.record.value = SetValue{"needle-member", "m2"};
    test.apply(set);
    Mutation scores = put(kScores, 4, "");
    SortedSetValue sorted;
    sorted.set("needle-scored", 7.5);
    scores.record.value = sorted;
    test.apply(scores);
  }
  static void expect_all(TestLedger& test) {
    EXPECT_EQ(std::get<std::string>(test.load(kText).record.value), "needle-text");
    EXPECT_EQ(std::get<HashValue>(test.load(kHash).record.value),
              (HashValue{{"needle-field", "needle-value"}, {"other", "x"}}));
    EXPECT_EQ(std::get<SetValue>(test.load(kSet).record.value), (SetValue{"m2", "needle-member"}));
    EXPECT_EQ(std::get<SortedSetValue>(test.load(kScores).record.value).score("needle-scored"),
              7.5);
  }
  // Until the walk over older rows has ended.
  static void settle(TestLedger& test) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (std::int64_t i = 0; test.ledger->stats().resealing || i < 2; ++i) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      test.load(kText);
    }
  }

  TempFolder folder_;
  const std::string path_;
};

TEST_F(AtRest, NothingOfAValueIsOnDisk) {
  {
    TestLedger test(options(sealed('a')));
    write_all(test);
    test.apply(
        elements(kHash, 5, ValueType::hash, {{.name = "needle-late", .value = "needle-v2"}}));
    EXPECT_FALSE(on_disk("needle")) << "in the log";
    EXPECT_EQ(test.ledger->stats().data_key, 1u);
  }
  EXPECT_FALSE(on_disk("needle")) << "in table files";
  EXPECT_TRUE(on_disk("sess:hash")) << "keys are in clear";
  TestLedger test(options(sealed('a')));
  EXPECT_EQ(std::get<HashValue>(test.load(kHash).record.value).size(), 3u);
  test.apply(elements(kHash, 6, ValueType::hash, {{.name = "needle-late", .removed = true}}));
  expect_all(test);
}

TEST_F(AtRest, WithoutAKeyTheBytesAreAsBefore) {
  {
    TestLedger test(options());
    write_all(test);
  }
  EXPECT_TRUE(on_disk("needle-text"));
  std::string format;
  std::getline(std::ifstream(path_ + "/FORMAT"), format);
  EXPECT_EQ(format, "stayd-ledger 1");
  EXPECT_EQ(stats().plain, 6u);
  EXPECT_EQ(stats().master_key, "");
}

TEST_F(AtRest, AWrongOrMissingKeyIsRefusedAndNothingIsLost) {
  {
    TestLedger test(options(sealed('a')));
    write_all(test);
  }
  const Error missing = open_error({});
  EXPECT_EQ(missing.code, Errc::invalid);
  EXPECT_NE(missing.message.find("[at_rest] encryption_key_file"), std::string::npos);
  const Error wrong = open_error(sealed('b'));
  EXPECT_EQ(wrong.code, Errc::invalid);
  EXPECT_NE(wrong.message.find("[at_rest] encryption_key_file"), std::string::npos);
  EXPECT_NE(wrong.message.find(stats().master_key), std::string::npos) << wrong.message;
  const AtRestOptions none;
  EXPECT_EQ(open_reader(path_, &none).error().code, Errc::invalid);
  TestLedger test(options(sealed('a')));
  expect_all(test);
}

TEST_F(AtRest, AnOlderStaydRefusesTheFolder) {
  TestLedger(options(sealed('a')));
  std::string format;
  std::getline(std::ifstream(path_ + "/FORMAT"), format);
  EXPECT_EQ(format, "stayd-ledger 2");
}

TEST_F(AtRest, RowsInClearAreReadAndSealedInTheBackground) {
  {
    TestLedger test(options());
    write_all(test);
    test.apply(tomb(full_key(0, "out"), 5, 9'000'000));
  }
  {
    TestLedger test(options(sealed('a')));
    expect_all(test);
    settle(test);
    expect_all(test);
    EXPECT_EQ(test.ledger->stats().resealed, 4u);
    EXPECT_EQ(test.load(kText).meta.hlc, 1u) << "it is the same version";
    EXPECT_EQ(test.load(full_key(0, "out")).meta.state, RowState::tomb);
  }
  EXPECT_EQ(stats().plain, 0u);
  EXPECT_EQ(stats().sealed, (std::map<std::uint32_t, std::uint64_t>{{1, 6}}));
  EXPECT_FALSE(stats().resealing);
  // The bytes of before leave with the next compaction, which comes within six hours.
  {
    const auto opened = database();
    for (auto* family : {opened->meta(), opened->elements()}) {
      rocksdb::CompactRangeOptions force;
      force.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
      ASSERT_TRUE(opened->db()->CompactRange(force, family, nullptr, nullptr).ok());
    }
    opened->close(true);
  }
  EXPECT_FALSE(on_disk("needle-text"));
  TestLedger test(options(sealed('a')));
  expect_all(test);
  EXPECT_FALSE(test.ledger->stats().resealing) << "it is known to have ended";
}

// Without the master key, and before any value is under the new data key.
TEST_F(AtRest, AReaderSeesThatOlderValuesAreToBeSealedAnew) {
  {
    TestLedger test(options(sealed('a')));
    write_all(test);
  }
  EXPECT_FALSE(stats().resealing);
  const auto opened = database();
  auto folder = Folder::open(path_, false);
  ASSERT_TRUE(set_up_at_rest(*opened, *folder, sealed('b', "a")));
  opened->close(true);
  EXPECT_TRUE(stats().resealing);
}

// It used to go on under the key of before, and to say nothing.
TEST_F(AtRest, TooManyKeysBeforeTheWalkHasEndedAreRefused) {
  {
    TestLedger test(options(sealed('a')));
  }
  const auto opened = database();
  auto folder = Folder::open(path_, false);
  Result<void> taken;
  for (std::size_t i = 0; taken && i <= KeyRing::kMaxDataKeys; ++i) {
    taken = set_up_at_rest(*opened, *folder, i % 2 == 0 ? sealed('b', "a") : sealed('a', "b"));
  }
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::limit);
  EXPECT_NE(taken.error().message.find("stayd ledger stats"), std::string::npos);
}

TEST_F(AtRest, AWriteSealsAWholeCollectionThatWasInClear) {
  {
    TestLedger test(options());
    write_all(test);
  }
  auto at_rest = sealed('a');
  {
    const auto opened = database();  // as if the walk had ended without them
    auto folder = Folder::open(path_, false);
    ASSERT_TRUE(set_up_at_rest(*opened, *folder, at_rest));
    ASSERT_TRUE(opened->db()
                    ->Put(rocksdb::WriteOptions(), opened->facts(),
                          std::string(kFactPrefix) + kSealedFact, "1")
                    .ok());
    opened->close(true);
  }
  {
    TestLedger test(options(at_rest));
    test.apply(elements(kHash, 10, ValueType::hash, {{.name = "other", .value = "y"}}));
    test.apply(elements(kSet, 11, ValueType::set, {{.name = "m3"}}));
    EXPECT_EQ(std::get<HashValue>(test.load(kHash).record.value),
              (HashValue{{"needle-field", "needle-value"}, {"other", "y"}}));
    EXPECT_EQ(std::get<SetValue>(test.load(kSet).record.value).size(), 3u);
  }
  EXPECT_EQ(stats().plain, 2u) << "the string and the scores";
  EXPECT_EQ(stats().sealed.at(1), 5u);
}

TEST_F(AtRest, AnotherMasterKeyOpensByTheOldOneOnceAndNeverAgain) {
  {
    TestLedger test(options(sealed('a')));
    write_all(test);
    settle(test);
  }
  {
    TestLedger test(options(sealed('b', "a")));
    EXPECT_EQ(test.ledger->stats().data_key, 2u);
    expect_all(test);
    test.apply(put(full_key(0, "new"), 9, "v"));
    settle(test);
  }
  EXPECT_EQ(stats().sealed, (std::map<std::uint32_t, std::uint64_t>{{2, 7}}));
  EXPECT_EQ(open_error(sealed('a')).code, Errc::invalid);
  {
    TestLedger test(options(sealed('b')));
    expect_all(test);
  }
  TestLedger test(options(sealed('c', "b")));
  EXPECT_EQ(test.ledger->stats().data_key, 3u);
  expect_all(test);
}

TEST_F(AtRest, KeysChangeWhileItServes) {
  TestLedger test(options());
  write_all(test);
  for (const auto& [at_rest, data_key] :
       {std::pair(sealed('a'), 1u), std::pair(sealed('a'), 1u), std::pair(sealed('b', "a"), 2u),
        std::pair(sealed('c', "b"), 3u)}) {
    bool done = false;
    test.ledger->rekey(at_rest, [&done](const Error& error) {
      EXPECT_EQ(error.message, "");
      done = true;
    });
    test.load(kText);
    EXPECT_TRUE(done);
    EXPECT_EQ(test.ledger->stats().data_key, data_key);
    expect_all(test);
  }
  settle(test);
  expect_all(test);
  // What does not open the ring changes nothing.
  for (const auto& at_rest : {sealed('x'), AtRestOptions{}}) {
    Error told;
    test.ledger->rekey(at_rest, [&told](const Error& error) { told = error; });
    test.load(kText);
    EXPECT_EQ(told.code, Errc::invalid);
    EXPECT_EQ(test.ledger->stats().data_key, 3u);
    expect_all(test);
  }
  test.ledger->close();
  EXPECT_EQ(stats().sealed.size(), 1u);
}

TEST_F(AtRest, ValuesAreCompressedBeforeTheyAreSealed) {
  const std::string text(10'000, 'z');
  for (const bool compress : {true, false}) {
    TestLedger test(options(sealed('a', "", compress)));
    test.apply(put(kText, compress ? 1 : 2, text));
    EXPECT_EQ(std::get<std::string>(test.load(kText).record.value), text);
    test.ledger->close();
    const auto opened = database();
    std::string bytes;
    ASSERT_TRUE(
        opened->db()->Get({}, opened->meta(), row_key(identity_spaces(), kText), &bytes).ok());
    EXPECT_EQ(bytes.size() < 500, compress);
  }
}

// The stored bytes of two rows exchanged, or one bit turned: an error when read, never a value, and
// the next write makes it well again.
TEST_F(AtRest, SwappedAndChangedRowsDoNotOpen) {
  const FullKey other = full_key(0, "sess:other");
  {
    TestLedger test(options(sealed('a')));
    write_all(test);
    test.apply(put(other, 1, "other"));
  }
  {
    const auto opened = database();
    auto* db = opened->db();
    std::string one, two;
    const std::string one_key = row_key(identity_spaces(), kText);
    const std::string two_key = row_key(identity_spaces(), other);
    ASSERT_TRUE(db->Get({}, opened->meta(), one_key, &one).ok());
    ASSERT_TRUE(db->Get({}, opened->meta(), two_key, &two).ok());
    two[16] = static_cast<char>(two[16] ^ 1);  // of the expiry
    ASSERT_TRUE(db->Put({}, opened->meta(), one_key, two).ok());
    ASSERT_TRUE(db->Put({}, opened->meta(), two_key, two).ok());
    // Of the hash: the values of its two fields exchanged.
    std::unique_ptr<rocksdb::Iterator> it(
        db->NewIterator(rocksdb::ReadOptions(), opened->elements()));
    it->SeekToFirst();
    const std::string key = it->key().ToString(), value = it->value().ToString();
    it->Next();
    ASSERT_TRUE(db->Put({}, opened->elements(), key, it->value()).ok());
    ASSERT_TRUE(db->Put({}, opened->elements(), it->key(), value).ok());
    it.reset();
    opened->close(true);
  }
  TestLedger test(options(sealed('a')));
  StoreToken hlc = 100;
  for (const FullKey& key : {kText, other, kHash}) {
    EXPECT_EQ(test.load(key).meta.state, RowState::absent);
    EXPECT_EQ(test.last_error.code, Errc::corrupt) << test.last_error.message;
    test.apply(put(key, ++hlc, "well"));
    EXPECT_EQ(test.last_error.message, "");
    EXPECT_EQ(std::get<std::string>(test.load(key).record.value), "well");
  }
}

}  // namespace
}  // namespace stayd::test
