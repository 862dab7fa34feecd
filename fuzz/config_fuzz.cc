// Any text is either a configuration or a list of mistakes, each with its place.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = stayd::parse_config(text, "fuzz");
  if (config) {
    if (config->resp_addresses.empty()) std::abort();
    return 0;
  }
  const std::string message = config.error().message;
  if (!message.starts_with("fuzz:") && !message.starts_with("default:")) std::abort();
  return 0;
}
