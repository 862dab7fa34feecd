#include "base/small_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace stayd {

Result<std::string> read_small_file(const std::string& path, std::size_t max_bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(Errc::invalid, fmt::format("{}: {}", path, std::strerror(errno)));
  std::string text(max_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return make_error(Errc::invalid, fmt::format("{}: cannot be read", path));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() <= max_bytes) return text;
  return make_error(Errc::invalid, fmt::format("{}: larger than {} KB", path, max_bytes / 1024));
}

}  // namespace stayd
