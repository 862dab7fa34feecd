// Golden files of the daemon's tests, in tests/golden/. STAYD_UPDATE_GOLDEN=1 rewrites them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace stayd {

inline void expect_golden(const std::string& actual, const std::string& path_in_repository) {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../..";
  const auto path = root / path_in_repository;
  if (std::getenv("STAYD_UPDATE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing; STAYD_UPDATE_GOLDEN=1 writes it";
  std::ostringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(actual, expected.str()) << path_in_repository << "; STAYD_UPDATE_GOLDEN=1 rewrites it";
}

}  // namespace stayd
