// Any bytes are either a value that encodes to the same bytes again, or an error with its place.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "store/record_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stayd;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<Record> value = decode_value(bytes);
  if (value) {
    if (encode_value(*value) != bytes) std::abort();
    return 0;
  }
  const Errc code = value.error().code;
  const bool known = code == Errc::corrupt || code == Errc::newer_format;
  if (!known || value.error().message.find("byte ") == std::string::npos) std::abort();
  return 0;
}
