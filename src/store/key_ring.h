// The keys under which values are sealed (docs/formats/at_rest.md), as envelopes: *data keys* seal
// values, and stand beside them in a *key ring*, itself sealed under a *master key* that is kept
// elsewhere. Another master key costs one new ring, whatever there is of values.
//
// Plain values, any thread. Wiped when they go.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/seal.h"

namespace stayd {

// The first is used; the others only open rings.
using MasterKeys = std::vector<SecretKey>;

// Keys of 32 bytes, each as 64 hexadecimal digits or as base64, separated by commas or white space;
// at most 8. Errors: invalid; never with anything of the text.
Result<MasterKeys> parse_master_keys(std::string_view text);

// Names a master key without telling of it: 16 hexadecimal digits.
std::string master_key_id(const SecretKey& key);

class KeyRing {
 public:
  struct DataKey {
    std::uint32_t id = 0;
    SecretKey key;
  };
  static constexpr std::size_t kMaxDataKeys = 64;

  // With one data key.
  static KeyRing make();
  // `owner`: whose ring it is; only with it the ring opens again.
  std::string wrap(const SecretKey& master, std::string_view owner) const;
  // invalid: it is of no key of `masters`; corrupt, newer_format: its bytes are wrong.
  static Result<KeyRing> unwrap(std::string_view bytes, const MasterKeys& masters,
                                std::string_view owner);
  // Of which master key these bytes are; empty: they are no ring.
  static std::string master_of(std::string_view bytes);

  // What is sealed from now on.
  const DataKey& active() const { return data_keys_.back(); }
  const std::vector<DataKey>& data_keys() const { return data_keys_; }
  // Hashes names; never changes.
  const SecretKey& name_key() const { return name_key_; }

  // A new active one. `all_sealed`: nothing is sealed under others than the active one, they go.
  // False: there are too many already, and the active one stays.
  bool add_data_key(bool all_sealed);

 private:
  SecretKey name_key_;
  std::vector<DataKey> data_keys_;  // by id, ascending; never empty
};

}  // namespace stayd
