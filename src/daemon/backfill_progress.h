// How far the running server's backfill is, as `stayd backfill` shows it. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stayd {

class BackfillProgress {
 public:
  // Takes a /status.json that was fetched at `now_ms`, on any clock that does not go back. False:
  // it is not the status of a stayd.
  bool take(std::string_view status_json, std::int64_t now_ms);

  bool complete() const { return complete_; }
  // "[######....]  61%  61,000 of 100,000 keys, 18,300/s, 3 s left", without a line's end.
  std::string line() const;
  std::string json() const;  // one object

 private:
  double keys_per_second() const;
  std::optional<std::int64_t> seconds_left() const;

  bool complete_ = false;
  std::int64_t adopted_ = 0, scanned_ = 0, expected_ = 0;
  std::string trouble_;  // why it waits; empty: it does not
  std::int64_t now_ms_ = 0;
  // Where the rate is measured from: the first look, or where a scan that was cut began anew.
  std::int64_t first_ms_ = -1, first_scanned_ = 0;
};

}  // namespace stayd
