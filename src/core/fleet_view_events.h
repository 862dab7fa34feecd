// What a FleetView tells the engine. Loop thread only.
#pragma once

#include "base/types.h"

namespace stayd {

class FleetViewEvents {
 public:
  virtual ~FleetViewEvents() = default;
  // The ledger holds another stayd's row of this key now.
  virtual void on_foreign_row(const FullKey& key) = 0;
  // Only Redis can say what the key's row is.
  virtual void on_read_back_wanted(const FullKey& key) = 0;
};

}  // namespace stayd
