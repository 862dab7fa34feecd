// What the backup refuses as too large, and whom that concerns: nobody else.
#include "core/fleet_test_util.h"

namespace stayd::test {
namespace {

class FleetRefused : public FleetTest {
 protected:
  static FullKey named(int number) { return full_key(0, "other:" + std::to_string(number)); }
  std::string at_backup(const FullKey& of) const {
    const BackupRow row = database.read(of);
    return row.state == RowState::live ? std::get<std::string>(row.record.value) : "none";
  }
  bool alone(FleetHost& host, StoreToken token) const {
    return host.recorder.loaded.at(token).alone;
  }
  const FullKey long_key = full_key(0, std::string(2000, 'k'));
};

// The whole shipment was refused, put off, and gathered again, for ever.
TEST_F(FleetRefused, AKeyTooLongForTheBackupStaysInTheLedgerAlone) {
  pass(5);
  const StoreToken login = a.put(long_key, "mine");
  a.put(key, "v1");
  pass(700);
  EXPECT_TRUE(a.recorder.seen(login));
  EXPECT_EQ(c.text(key), "v1");
  EXPECT_EQ(a.text(long_key), "mine");
  EXPECT_EQ(a.fleet.status().unshipped, 0u);
  const StoreToken logout = a.tomb(long_key);
  pass(5);
  EXPECT_TRUE(a.recorder.seen(logout)) << "nobody waits for the backup";
}

TEST_F(FleetRefused, ReadTogetherWithSuchAKeyOthersAreReadExactly) {
  pass(5);
  a.put(long_key, "mine");
  a.put(key, "v1");
  pass(700);
  const StoreToken both[] = {a.load_exact(long_key), a.load_exact(key)};
  pass(50);
  EXPECT_TRUE(alone(a, both[0]));
  EXPECT_EQ(std::get<std::string>(a.recorder.loaded.at(both[0]).record.value), "mine");
  EXPECT_FALSE(alone(a, both[1]));
}

TEST_F(FleetRefused, AValueTooLargeForTheBackupKeepsNoOtherBack) {
  database.max_bytes = 20'000;
  pass(5);
  a.put(key, std::string(30'000, 'v'));
  for (int i = 0; i < 50; ++i) a.put(named(i), "w");
  pass(700);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(at_backup(named(i)), "w") << i;
  EXPECT_EQ(at_backup(key), "none");
  EXPECT_EQ(a.fleet.status().unshipped, 1u);
  database.max_bytes = 100'000;  // somebody raises it
  pass(6'000);
  EXPECT_EQ(at_backup(key).size(), 30'000u);
  EXPECT_EQ(a.fleet.status().unshipped, 0u);
}

TEST_F(FleetRefused, RowsTooLargeForOneAnswerAreReadInSeveral) {
  pass(5);
  for (int i = 0; i < 8; ++i) a.put(named(i), std::string(3'000, 'w'));
  pass(700);
  database.max_bytes = 10'000;
  std::vector<StoreToken> tokens;
  for (int i = 0; i < 8; ++i) tokens.push_back(c.load_exact(named(i)));
  pass(50);
  for (const StoreToken token : tokens) EXPECT_FALSE(alone(c, token));
}

}  // namespace
}  // namespace stayd::test
