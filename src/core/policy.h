// Which keys are sessions, and what is promised for them: one block per key pattern, from the
// configuration's [[sessions]] or from a preset. Immutable after start; loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stayd {

// R8: is a write after a logout a new session, or a late save of the dead one?
enum class Fence : std::uint8_t {
  off,        // as on Redis: any write opens a new incarnation
  seconds30,  // for 30 s after the logout only NX, or a client that was told ABSENT since, may
              // create
  forever,    // only NX creates
};

// What a client is told when stayd cannot know whether a session exists (section 2).
enum class UnknownPolicy : std::uint8_t { error, hold, anonymous };

enum class KeyClass : std::uint8_t { session, lock, index };

struct SessionPolicy {
  std::string match;  // glob as in KEYS: * ? [..] and \ ; "" matches nothing
  KeyClass key_class = KeyClass::session;
  Fence fence = Fence::off;
  UnknownPolicy unknown = UnknownPolicy::error;
  std::int64_t max_lifetime_ms = 0;  // absolute lifetime from creation; 0: none
  bool external_delete_heals = false;
};

class PolicyTable {
 public:
  // No blocks: every key is a session with default policy.
  explicit PolicyTable(std::vector<SessionPolicy> blocks = {});
  // The first block that matches, or nullptr: the key is proxied as it is and fails fast while
  // Redis is out.
  const SessionPolicy* find(std::string_view key) const;
  // True when the name itself says that it is a session's: a block matches it that does not match
  // everything.
  bool names(std::string_view text) const;
  // True only without blocks: then find() need not be asked.
  bool everything_is_a_session() const { return catch_all_; }
  bool any_fence() const { return any_fence_; }

 private:
  std::vector<SessionPolicy> blocks_;
  bool catch_all_ = false;
  bool any_fence_ = false;
};

// Redis' glob (stringmatchlen of util.c): case-sensitive. Linear in practice; `*` runs are
// collapsed.
bool glob_match(std::string_view pattern, std::string_view text);

// The blocks of a preset ("express", "django", "spring", ...); nullopt: unknown name.
std::optional<std::vector<SessionPolicy>> preset_policies(std::string_view name);
std::vector<std::string_view> preset_names();

}  // namespace stayd
