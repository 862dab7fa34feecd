#include "store/value_codec.h"

#include <fmt/format.h>

#include "store/bytes.h"

namespace stayd {
namespace {

constexpr char kPackedVersion = 1;
constexpr std::uint8_t kCompressed = 1;
constexpr std::uint8_t kSealed = 2;
constexpr std::size_t kPlainHeader = 2;
constexpr std::size_t kSealedHeader = 6;
constexpr int kZstdLevel = 3;
// Redis' own limit of a value.
constexpr unsigned long long kMaxValueBytes = 512ULL << 20;

Error corrupt(std::size_t offset, std::string_view what) {
  return make_error(Errc::corrupt, fmt::format("packed value: byte {}: {}", offset, what));
}

}  // namespace

void ValueCodec::set_ring(std::shared_ptr<const KeyRing> ring) {
  ring_ = std::move(ring);
  sealers_.clear();
  if (ring_ == nullptr) return;
  for (const KeyRing::DataKey& one : ring_->data_keys()) sealers_.try_emplace(one.id, one.key);
}

std::string ValueCodec::pack(std::string_view value, const Place& place) {
  const bool compressed = compresses_ && compress(value);
  const std::string_view inner = compressed ? std::string_view(compressed_) : value;
  std::string out(1, kPackedVersion);
  out.push_back(static_cast<char>((compressed ? kCompressed : 0) | (seals() ? kSealed : 0)));
  if (!seals()) return out.append(inner);
  const std::uint32_t id = ring_->active().id;
  out.resize(kSealedHeader);
  put_little(out.data() + kPlainHeader, id);
  const std::string header = out;  // short enough to need no memory of its own
  out.reserve(kSealedHeader + inner.size() + Sealer::kOverhead);
  sealers_.at(id).seal(inner, {place.kind, header, place.head, place.key}, out);
  return out;
}

Result<std::string> ValueCodec::unpack(std::string_view bytes, const Place& place) {
  if (bytes.size() < kPlainHeader) return corrupt(bytes.size(), "ends inside the header");
  if (static_cast<unsigned char>(bytes[0]) > kPackedVersion) {
    return make_error(Errc::newer_format, fmt::format("packed value: byte 0: version {}",
                                                      static_cast<unsigned char>(bytes[0])));
  }
  if (bytes[0] != kPackedVersion) return corrupt(0, "version 0");
  const auto flags = static_cast<std::uint8_t>(bytes[1]);
  if ((flags & ~(kCompressed | kSealed)) != 0) return corrupt(1, fmt::format("flags {:#x}", flags));
  const bool compressed = (flags & kCompressed) != 0;
  if ((flags & kSealed) == 0) {
    const std::string_view inner = bytes.substr(kPlainHeader);
    return compressed ? decompress(inner) : Result<std::string>(std::string(inner));
  }
  if (bytes.size() < kSealedHeader + Sealer::kOverhead) {
    return corrupt(bytes.size(), "ends inside a sealed value");
  }
  const std::string_view header = bytes.substr(0, kSealedHeader);
  const auto id = get_little<std::uint32_t>(bytes.data() + kPlainHeader);
  const auto sealer = sealers_.find(id);
  if (sealer == sealers_.end()) {
    return corrupt(kPlainHeader, fmt::format("sealed under the data key {}, which is not in the "
                                             "key ring",
                                             id));
  }
  auto plain =
      sealer->second.open(bytes.substr(kSealedHeader), {place.kind, header, place.head, place.key});
  if (!plain) {
    return corrupt(kSealedHeader, "does not open: it was changed, or belongs to another place");
  }
  return compressed ? decompress(*plain) : Result<std::string>(std::move(*plain));
}

std::string ValueCodec::hashed(std::string_view place, std::string_view name) const {
  return hmac_sha256(ring_->name_key().bytes(), {place, name}).substr(0, kNameBytes);
}

std::uint32_t ValueCodec::sealed_under(std::string_view bytes) {
  if (bytes.size() < kSealedHeader || (static_cast<std::uint8_t>(bytes[1]) & kSealed) == 0)
    return 0;
  return get_little<std::uint32_t>(bytes.data() + kPlainHeader);
}

bool ValueCodec::compress(std::string_view value) {
  if (value.size() < kMinCompressed) return false;
  if (!compressor_) compressor_.reset(ZSTD_createCCtx());
  compressed_.resize(ZSTD_compressBound(value.size()));
  const std::size_t size =
      ZSTD_compressCCtx(compressor_.get(), compressed_.data(), compressed_.size(), value.data(),
                        value.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0 || size >= value.size()) return false;
  compressed_.resize(size);
  return true;
}

Result<std::string> ValueCodec::decompress(std::string_view bytes) {
  const unsigned long long size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size > kMaxValueBytes) return corrupt(kPlainHeader, "no zstd frame of a known size");
  if (!decompressor_) decompressor_.reset(ZSTD_createDCtx());
  std::string out(static_cast<std::size_t>(size), '\0');
  const std::size_t got =
      ZSTD_decompressDCtx(decompressor_.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (got != out.size()) return corrupt(kPlainHeader, "a damaged zstd frame");
  return out;
}

}  // namespace stayd
