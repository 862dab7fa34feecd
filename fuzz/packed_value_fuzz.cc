// Any bytes are either a packed value, or a key ring, or keys, or an error that says why; a value
// comes back as it was packed, at its place only.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "store/value_codec.h"

namespace {

using namespace stayd;

// 64 MB: a frame may say that it is as large as a value can be, and the fuzzer's memory is bounded.
bool too_large(std::string_view bytes) {
  if (bytes.size() < 2) return false;
  const auto size = ZSTD_getFrameContentSize(bytes.data() + 2, bytes.size() - 2);
  return size > (64U << 20) && size < ZSTD_CONTENTSIZE_ERROR - 1;
}

void check_error(const Error& error) {
  const bool known = error.code == Errc::corrupt || error.code == Errc::newer_format ||
                     error.code == Errc::invalid;
  if (!known || error.message.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const SecretKey master(std::string(SecretKey::kBytes, 'm'));
  static ValueCodec codec = [] {
    ValueCodec out;
    out.set_ring(std::make_shared<KeyRing>(KeyRing::make()));
    out.set_compression(true);
    return out;
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!too_large(bytes)) {
    const auto value = codec.unpack(bytes, {"r", "h", "k"});
    if (!value) check_error(value.error());
    if (value && ValueCodec::sealed_under(bytes) != 0) std::abort();  // sealed by whom?
  }
  const std::string packed = codec.pack(bytes, {"r", "h", "k"});
  const auto again = codec.unpack(packed, {"r", "h", "k"});
  if (!again || *again != bytes) std::abort();
  if (codec.unpack(packed, {"r", "h", "other"})) std::abort();
  if (const auto ring = KeyRing::unwrap(bytes, {master}, "ledger"); !ring)
    check_error(ring.error());
  if (const auto keys = parse_master_keys(bytes); !keys) check_error(keys.error());
  return 0;
}
