#include "daemon/permissions.h"

#include <gtest/gtest.h>

#include "session/glob.h"

namespace stayd {
namespace {

TEST(Permissions, AKeyLikeThePattern) {
  EXPECT_EQ(key_like("sess:*"), "sess:stayd-check");
  for (const char* glob : {"sess:*", "*", "a?c", "[abc]x*", "\\*literal", "h[^x]llo", "[a-z]:?*",
                           "{app}:session:*", "plain"}) {
    EXPECT_TRUE(element_matches(glob, key_like(glob))) << glob << " " << key_like(glob);
  }
}

}  // namespace
}  // namespace stayd
