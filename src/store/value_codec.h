// Values as they are stored when they are compressed or encrypted: *packed*
// (docs/formats/at_rest.md). Compressed first: what is sealed does not compress.
//
//   pack:  value ─zstd, where it gets smaller─▶ ─seal under the active data key─▶ bytes
//   byte   0 version   1 flags: 1 compressed, 2 sealed   [2 u32 data key, 6 nonce, ..., tag]
//
// With neither, nothing is packed and this does nothing. Used by one thread; unpack() never crashes
// and never guesses: what does not open is Errc::corrupt, a later version Errc::newer_format.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/key_ring.h"

namespace stayd {

class ValueCodec {
 public:
  static constexpr std::size_t kNameBytes = 16;
  // Less is not worth it.
  static constexpr std::size_t kMinCompressed = 64;

  // nullptr: nothing is sealed.
  void set_ring(std::shared_ptr<const KeyRing> ring);
  void set_compression(bool zstd) { compresses_ = zstd; }

  bool packs() const { return seals() || compresses_; }
  bool seals() const { return ring_ != nullptr; }
  const std::shared_ptr<const KeyRing>& ring() const { return ring_; }

  // Where a value stands: it opens only there. `kind` is one letter, `head` of a fixed size.
  struct Place {
    std::string_view kind, head, key;
  };
  std::string pack(std::string_view value, const Place& place);
  Result<std::string> unpack(std::string_view bytes, const Place& place);

  // Stands for `name` where others may read: the same for the same place and name. Requires a ring.
  std::string hashed(std::string_view place, std::string_view name) const;

  // Under which data key packed bytes are sealed; 0: under none.
  static std::uint32_t sealed_under(std::string_view bytes);

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  bool compress(std::string_view value);  // into `compressed_`; false: it is not smaller
  Result<std::string> decompress(std::string_view bytes);

  std::shared_ptr<const KeyRing> ring_;
  std::map<std::uint32_t, Sealer> sealers_;  // by data key
  bool compresses_ = false;
  std::unique_ptr<ZSTD_CCtx, Free> compressor_;
  std::unique_ptr<ZSTD_DCtx, Free> decompressor_;
  std::string compressed_;
};

}  // namespace stayd
