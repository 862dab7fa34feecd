// Opening, closing, opening again; what is refused and what is never overwritten.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "store/ledger/reader.h"
#include "store/ledger/test_ledger.h"

namespace stayd::test {
namespace {

namespace fs = std::filesystem;

Error open_error(const LedgerOptions& options) {
  TestWaker waker;
  const Result<std::unique_ptr<Ledger>> opened = Ledger::open(options, waker);
  EXPECT_FALSE(opened);
  return opened ? Error{} : opened.error();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::uintmax_t log_bytes(const std::string& path) {
  std::uintmax_t total = 0;
  for (const auto& entry : fs::directory_iterator(path + "/db")) {
    if (entry.path().extension() == ".log") total += entry.file_size();
  }
  return total;
}

class LedgerOpen : public ::testing::Test {
 protected:
  LedgerOpen() : path_(folder_.sub("a/ledger")) {}
  LedgerOptions options() const { return TestLedger::options(path_); }

  TempFolder folder_;
  std::string path_;
};

TEST_F(LedgerOpen, WritesOnTheirWayAreThereAgain) {
  {
    TestLedger test(options());
    EXPECT_EQ(test.ledger->in_flight_problem(), "");
    test.ledger->in_flight().begin({full_key(0, "left")});
    test.ledger->in_flight().end(test.ledger->in_flight().begin({full_key(0, "ended")}));
  }
  {
    TestLedger test(options());
    ASSERT_EQ(test.ledger->in_flight().leftovers().size(), 1U);
    EXPECT_EQ(test.ledger->in_flight().leftovers()[0].keys[0], full_key(0, "left"));
  }
  fs::resize_file(path_ + "/inflight", 1000);  // damaged: ignored
  {
    TestLedger test(options());
    EXPECT_TRUE(test.ledger->in_flight().leftovers().empty());
    EXPECT_EQ(test.ledger->in_flight_problem(), "");
  }
  fs::remove(path_ + "/inflight");
  fs::create_directory(path_ + "/inflight");  // cannot be opened: served without
  TestLedger test(options());
  EXPECT_NE(test.ledger->in_flight_problem(), "");
  EXPECT_NE(test.ledger->in_flight().begin({full_key(0, "k")}), InFlightTable::kNone);
}

TEST_F(LedgerOpen, EverythingIsThereAgainAfterACleanStop) {
  {
    TestLedger test(options());
    test.apply(put(full_key(0, "a"), 5, "value", 9'000'000));
    Mutation hash = put(full_key(2, "h"), 6, "");
    hash.record.value = HashValue{{"f", "1"}, {"g", "2"}};
    test.apply(hash);
    test.apply(tomb(full_key(0, "t"), 7, 9'000'000), Durability::synced);
    test.ledger->put_fact("epoch", "42");
    test.ledger->swap_databases(2, 3, 1);
    test.until(1);
    test.ledger->close();
    EXPECT_EQ(log_bytes(path_), 0U) << "the next start would replay";
  }
  TestLedger test(options());
  EXPECT_EQ(test.ledger->highest_hlc(), 7U);
  EXPECT_EQ(test.ledger->fact("epoch"), "42");
  EXPECT_EQ(test.load(full_key(0, "a")).record, text_record("value", 9'000'000));
  EXPECT_EQ(test.load(full_key(0, "t")).meta.state, RowState::tomb);
  EXPECT_EQ(std::get<HashValue>(test.load(full_key(3, "h")).record.value).size(), 2U);
  // Generations go on: what is written now does not mix with what was.
  Mutation again = put(full_key(3, "h"), 8, "");
  again.record.value = HashValue{{"x", "1"}};
  test.apply(again);
  EXPECT_EQ(std::get<HashValue>(test.load(full_key(3, "h")).record.value), (HashValue{{"x", "1"}}));
}

TEST_F(LedgerOpen, ReportsOutliveCloseAndLaterOperationsAreIgnored) {
  TestLedger test(options());
  test.ledger->apply_one(put(full_key(0, "a"), 1, "x"), 1, Durability::written);
  test.ledger->close();
  test.ledger->apply_one(put(full_key(0, "a"), 2, "y"), 2, Durability::written);
  test.ledger->submit();
  test.ledger->deliver();
  EXPECT_EQ(test.recorder.order, std::vector<StoreToken>{1});
  TestLedger next(options());  // the folder is free
  EXPECT_EQ(next.load(full_key(0, "a")).record, text_record("x"));
}

TEST_F(LedgerOpen, TheFolderIsPrivate) {
  const TestLedger test(options());
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(LedgerOpen, ASecondOpenIsBusy) {
  const TestLedger test(options());
  const Error error = open_error(options());
  EXPECT_EQ(error.code, Errc::busy);
  EXPECT_NE(error.message.find(path_), std::string::npos);
}

TEST_F(LedgerOpen, NewerAndDamagedFormatsAreRefusedAndLeftAlone) {
  TestLedger(options()).apply(put(full_key(0, "a"), 1, "x"));
  write_file(path_ + "/FORMAT", "stayd-ledger 3\n");
  EXPECT_EQ(open_error(options()).code, Errc::newer_format);
  write_file(path_ + "/FORMAT", "stayd-");
  EXPECT_EQ(open_error(options()).code, Errc::corrupt);
  fs::remove(path_ + "/FORMAT");
  EXPECT_EQ(open_error(options()).code, Errc::corrupt);
  write_file(path_ + "/FORMAT", "stayd-ledger 1\n");
  EXPECT_EQ(TestLedger(options()).load(full_key(0, "a")).record, text_record("x"));
}

TEST_F(LedgerOpen, MissingAndForeignFoldersAreRefused) {
  LedgerOptions existing = options();
  existing.create = false;
  EXPECT_EQ(open_error(existing).code, Errc::not_found);
  fs::create_directories(path_);
  EXPECT_EQ(open_error(existing).code, Errc::not_found);
  write_file(path_ + "/thesis.txt", "mine");
  EXPECT_EQ(open_error(options()).code, Errc::invalid);
  EXPECT_TRUE(fs::exists(path_ + "/thesis.txt"));
  LedgerOptions no_clock = options();
  no_clock.wall_ms = nullptr;
  EXPECT_EQ(open_error(no_clock).code, Errc::invalid);
  LedgerOptions file = options();
  file.path = path_ + "/thesis.txt";
  EXPECT_EQ(open_error(file).code, Errc::invalid);
}

TEST_F(LedgerOpen, DamagedFilesAreRefusedWithAdvice) {
  TestLedger(options()).apply(put(full_key(0, "a"), 1, "x"));
  const std::string current = path_ + "/db/CURRENT";
  std::string name;
  std::ifstream(current) >> name;
  const std::string manifest = path_ + "/db/" + name;
  std::string bytes(fs::file_size(manifest), '\0');
  std::ifstream(manifest, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  std::string damaged = bytes;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x40);
  write_file(manifest, damaged);
  const Error error = open_error(options());
  EXPECT_EQ(error.code, Errc::corrupt) << error.message;
  EXPECT_NE(error.message.find("move it away"), std::string::npos);
  write_file(manifest, bytes);

  fs::remove(current);  // without it RocksDB would begin an empty database over the old one
  EXPECT_EQ(open_error(options()).code, Errc::corrupt);
  write_file(current, name + "\n");

  for (const auto& entry : fs::directory_iterator(path_ + "/db")) {
    if (entry.path().extension() == ".sst") fs::resize_file(entry.path(), 10);
  }
  EXPECT_EQ(open_error(options()).code, Errc::corrupt);
}

TEST_F(LedgerOpen, TheReaderWorksBesideTheServer) {
  EXPECT_EQ(open_reader(path_, nullptr).error().code, Errc::not_found);
  TestLedger test(options());
  test.apply(put(full_key(1, "a"), 5, "value"));
  test.apply(tomb(full_key(1, "t"), 6, 9'000'000));
  Mutation set = put(full_key(0, "s"), 7, "");
  set.record.value = SetValue{"m"};
  test.apply(set);
  test.ledger->put_fact("epoch", "42");
  test.apply(put(full_key(1, "b"), 8, "value"));
  const std::unique_ptr<LedgerReader> reader = open_reader(path_, nullptr).value();
  test.apply(put(full_key(1, "late"), 9, "value"));
  std::vector<FullKey> keys;
  reader->for_each([&keys](const FullKey& key, const Result<Row>& row) {
    EXPECT_TRUE(row);
    keys.push_back(key);
    return true;
  });
  EXPECT_EQ(keys, (std::vector<FullKey>{full_key(0, "s"), full_key(1, "a"), full_key(1, "b"),
                                        full_key(1, "t")}));
  EXPECT_EQ(reader->get(full_key(1, "a")).value().record, text_record("value"));
  EXPECT_EQ(std::get<SetValue>(reader->get(full_key(0, "s")).value().record.value), SetValue{"m"});
  EXPECT_EQ(reader->get(full_key(0, "none")).value().meta.state, RowState::absent);
  EXPECT_EQ(reader->facts().at("epoch"), "42");
  EXPECT_EQ(reader->highest_hlc(), 8U);
  EXPECT_EQ(test.load(full_key(1, "late")).record, text_record("value"));  // undisturbed
}

TEST_F(LedgerOpen, BallastIsThere) {
  LedgerOptions with = options();
  with.ballast_bytes = 100'000;
  {
    TestLedger test(with);
    test.apply(put(full_key(0, "a"), 1, "x"));
  }
  EXPECT_EQ(fs::file_size(path_ + "/ballast"), 100'000U);
}

}  // namespace
}  // namespace stayd::test
