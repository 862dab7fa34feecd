#include "store/ledger/at_rest.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

namespace stayd {
namespace {

constexpr std::string_view kOwner = "ledger";

std::string ids_of(const MasterKeys& keys) {
  std::string out;
  for (const SecretKey& key : keys) out += (out.empty() ? "" : ", ") + master_key_id(key);
  return out;
}

Result<KeyRing> open_ring(const std::string& bytes, const std::string& path,
                          const AtRestOptions& at_rest) {
  const std::string master = KeyRing::master_of(bytes);
  if (at_rest.keys.empty()) {
    return make_error(
        Errc::invalid,
        fmt::format("ledger: {} is encrypted, under the master key {}: give it with [at_rest] "
                    "encryption_key_file, encryption_key_command or encryption_key",
                    path, master));
  }
  Result<KeyRing> ring = KeyRing::unwrap(bytes, at_rest.keys, kOwner);
  if (ring) return ring;
  if (ring.error().code == Errc::corrupt) {
    return make_error(Errc::corrupt,
                      fmt::format("ledger: {}: {}; without it nothing that is encrypted opens - "
                                  "nothing was changed; restore the folder from a copy, or move it "
                                  "away and start with an empty one (sessions then come from Redis "
                                  "alone)",
                                  path, ring.error().message));
  }
  if (ring.error().code != Errc::invalid) {
    return make_error(ring.error().code, fmt::format("ledger: {}: {}: start the newer stayd", path,
                                                     ring.error().message));
  }
  return make_error(
      Errc::invalid,
      fmt::format("ledger: {} is encrypted under the master key {}; {} gives {}: put the old key "
                  "behind the new one",
                  path, master, at_rest.setting, ids_of(at_rest.keys)));
}

// Only then may the older data keys go: a value that does not open today, because its block was
// read wrongly perhaps, must find its key when it is read again.
bool all_sealed(const Database& database) {
  const auto facts = database.read_facts();
  const auto found = facts.find(kSealedFact);
  return found != facts.end() && found->second == sealed_fact(database, 0);
}

// So many times the key was changed before older values were all sealed anew.
Error too_many_data_keys(const std::string& path) {
  return make_error(
      Errc::limit,
      fmt::format("ledger: {} holds values under {} data keys, and takes no more: put the key of "
                  "before in front again until all are sealed under one (stayd ledger stats)",
                  path, KeyRing::kMaxDataKeys));
}

bool is_empty(const Database& database) {
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db()->NewIterator(rocksdb::ReadOptions(), database.meta()));
  it->SeekToFirst();
  return !it->Valid() && it->status().ok();
}

}  // namespace

std::string sealed_fact(const Database& database, std::uint64_t skipped) {
  const std::uint32_t id = database.values().ring()->active().id;
  return skipped == 0 ? std::to_string(id) : fmt::format("{} {}", id, skipped);
}

bool reseal_wanted(const Database& database) {
  if (!database.values().seals()) return false;
  const auto facts = database.read_facts();
  const auto found = facts.find(kSealedFact);
  if (found == facts.end()) return true;
  const std::string& fact = found->second;
  return fact.substr(0, fact.find(' ')) != sealed_fact(database, 0);
}

Result<void> set_up_at_rest(Database& database, const Folder& folder,
                            const AtRestOptions& at_rest) {
  const Result<std::string> bytes = database.read_key_ring();
  if (!bytes) return bytes.error();
  ValueCodec& values = database.values();
  const bool sealed = !bytes->empty() || !at_rest.keys.empty();
  if (sealed || at_rest.compress) {
    const Result<void> marked = folder.mark_packed();
    if (!marked) return marked;
  }
  if (!sealed) {
    values.set_compression(at_rest.compress);
    return {};
  }

  std::shared_ptr<KeyRing> ring;
  if (bytes->empty()) {
    ring = std::make_shared<KeyRing>(KeyRing::make());
  } else {
    Result<KeyRing> opened = open_ring(*bytes, folder.path(), at_rest);
    if (!opened) return opened.error();
    ring = std::make_shared<KeyRing>(std::move(*opened));
    values.set_ring(ring);
    values.set_compression(at_rest.compress);
    if (KeyRing::master_of(*bytes) == master_key_id(at_rest.keys.front())) return {};
    auto next = std::make_shared<KeyRing>(*ring);
    if (!next->add_data_key(all_sealed(database))) return too_many_data_keys(folder.path());
    ring = std::move(next);
  }
  std::optional<std::string> sealed_under;  // nothing is in clear in a ledger that begins encrypted
  if (bytes->empty() && is_empty(database)) sealed_under = std::to_string(ring->active().id);
  const Result<void> written =
      database.write_key_ring(ring->wrap(at_rest.keys.front(), kOwner), kSealedFact, sealed_under);
  if (!written) {  // it may be there all the same
    return make_error(written.error().code,
                      written.error().message +
                          "; keep the new key and the old one until this has been done again");
  }
  values.set_ring(ring);
  values.set_compression(at_rest.compress);
  return {};
}

Result<void> set_up_to_read(Database& database, const std::string& path,
                            const AtRestOptions& at_rest) {
  const Result<std::string> bytes = database.read_key_ring();
  if (!bytes) return bytes.error();
  if (bytes->empty()) return {};
  Result<KeyRing> ring = open_ring(*bytes, path, at_rest);
  if (!ring) return ring.error();
  database.values().set_ring(std::make_shared<KeyRing>(std::move(*ring)));
  return {};
}

}  // namespace stayd
