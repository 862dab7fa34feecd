// The key ring that a shared backup keeps in its database: what its bytes mean. Pure; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/key_ring.h"

namespace stayd {

// `bytes`: what is stored; empty: nothing. nullptr: values are in clear. invalid: it does not open
// with `masters`, or only one side has keys.
Result<std::shared_ptr<const KeyRing>> open_backup_ring(const std::string& bytes,
                                                        const MasterKeys& masters);

// What is to be stored instead: the same ring under the first of `masters`, or a new one where
// there is none. nullopt: it stands there already.
Result<std::optional<std::string>> wrap_backup_ring(const std::string& bytes,
                                                    const MasterKeys& masters);

}  // namespace stayd
