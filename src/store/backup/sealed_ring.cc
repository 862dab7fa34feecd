#include "store/backup/sealed_ring.h"

namespace stayd {
namespace {

constexpr std::string_view kRingOwner = "backup";

}  // namespace

Result<std::shared_ptr<const KeyRing>> open_backup_ring(const std::string& bytes,
                                                        const MasterKeys& masters) {
  if (bytes.empty() && masters.empty()) return std::shared_ptr<const KeyRing>();
  if (bytes.empty()) {
    return make_error(Errc::invalid,
                      "backup: values are in clear, and an encryption key is given ([at_rest]): "
                      "give it to \"stayd backup init --encryption-key-file\" too");
  }
  Result<KeyRing> ring = KeyRing::unwrap(bytes, masters, kRingOwner);
  if (ring) return std::make_shared<const KeyRing>(std::move(*ring));
  return make_error(ring.error().code,
                    std::string("backup: it is encrypted, and ") +
                        (masters.empty() ? "no encryption key is given ([at_rest], or "
                                           "--encryption-key-file of stayd backup): "
                                         : "its key ring does not open: ") +
                        ring.error().message);
}

Result<std::optional<std::string>> wrap_backup_ring(const std::string& bytes,
                                                    const MasterKeys& masters) {
  const SecretKey& master = masters.front();
  if (KeyRing::master_of(bytes) == master_key_id(master)) return std::optional<std::string>();
  KeyRing next = KeyRing::make();
  if (!bytes.empty()) {
    const auto old = open_backup_ring(bytes, masters);
    if (!old) return old.error();
    next = **old;
  }
  return std::optional<std::string>(next.wrap(master, kRingOwner));
}

}  // namespace stayd
