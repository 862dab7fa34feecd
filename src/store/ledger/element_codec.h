// Elements of one collection, as its row says that they are stored: in clear, or packed; if they
// are sealed, under hashes of their names, which stand in the values then (docs/formats/ledger.md).
//
// Borrows the codec. Not thread-safe, as the codec.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "store/ledger/keys.h"
#include "store/ledger/row_codec.h"
#include "store/value_codec.h"

namespace stayd {

class ElementCodec {
 public:
  struct Element {
    std::string_view name;
    std::string_view value;
  };

  ElementCodec(ValueCodec& values, std::string_view row_key, const StoredRow& row)
      : values_(values),
        prefix_(element_prefix(row_key, row.generation)),
        packed_(row.packed),
        hashed_(row.hashed) {}

  bool packs() const { return packed_; }
  // Of every key.
  const std::string& prefix() const { return prefix_; }

  std::string key_of(std::string_view name) const {
    std::string out = prefix_;
    return hashed_ ? out += values_.hashed(prefix_, name) : out += name;
  }

  std::string pack(std::string_view element_key, std::string_view name, std::string value) const {
    if (!packed_) return value;
    if (hashed_) {
      char size[4];
      put_little(size, static_cast<std::uint32_t>(name.size()));
      value.insert(0, name).insert(0, size, sizeof size);
    }
    return values_.pack(value, {"e", "", element_key});
  }

  // Stands in `element_key` and `bytes` where nothing is packed, in `room` otherwise. Errors:
  // corrupt, newer_format.
  Result<Element> unpack(std::string_view element_key, std::string_view bytes,
                         std::string& room) const {
    const std::string_view name = element_key.substr(prefix_.size());
    if (!packed_) return Element{name, bytes};
    Result<std::string> value = values_.unpack(bytes, {"e", "", element_key});
    if (!value) return value.error();
    room = std::move(*value);
    if (!hashed_) return Element{name, room};
    const std::string_view inner = room;
    const auto size = inner.size() < 4 ? 0 : get_little<std::uint32_t>(inner.data());
    if (inner.size() < 4 || inner.size() - 4 < size) {
      return make_error(Errc::corrupt, "element: ends inside its name");
    }
    return Element{inner.substr(4, size), inner.substr(4 + size)};
  }

 private:
  ValueCodec& values_;
  const std::string prefix_;
  const bool packed_;
  const bool hashed_;
};

}  // namespace stayd
