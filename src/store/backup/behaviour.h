// What the tests of every shared backup have in common. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "store/test_backups.h"

namespace stayd::test {

inline constexpr Version kNone;
// As ledgers draw them: all 64 bits are used.
inline constexpr std::uint64_t kOrigins[] = {0, 1, 0x7fff'ffff'ffff'ffff, 0x8000'0000'0000'0000,
                                             0xffff'ffff'ffff'ffff};

// `change` aside, which the backup gives.
inline void expect_same(const BackupRow& got, const BackupRow& want) {
  EXPECT_EQ(got.state, want.state);
  if (want.state == RowState::absent) return;
  EXPECT_EQ(got.key, want.key);
  EXPECT_EQ(got.incarnation, want.incarnation);
  EXPECT_EQ(got.hlc, want.hlc);
  EXPECT_EQ(got.touched_hlc, want.touched_hlc);
  EXPECT_TRUE(got.record == want.record) << text_of(got) << " " << text_of(want);
  EXPECT_EQ(got.record.expires_at_ms, want.record.expires_at_ms);
  EXPECT_EQ(got.created_at_ms, want.created_at_ms);
  EXPECT_EQ(got.tomb_until_ms, want.tomb_until_ms);
  EXPECT_EQ(got.through_redis, want.through_redis);
  EXPECT_EQ(got.origin, want.origin);
  EXPECT_EQ(got.unreadable, "");
}

template <class Subject>
class BackupTest : public ::testing::Test {
 protected:
  Subject subject_;
  std::unique_ptr<BackupClient> client_ = subject_.connect();
};

class BackupNames {
 public:
  template <class Subject>
  static std::string GetName(int) {
    return Subject::kName;
  }
};

inline FullKey key(const std::string& name) {
  return full_key(0, name);
}

}  // namespace stayd::test
