// The memory of the in-flight table: the file `inflight` in the ledger's folder, mapped, so that
// the page cache keeps it through a kill -9. Never synced: a power cut may lose it (W5).
//
// Owned by one ledger; made and used on the engine loop. A file that cannot be made, read or mapped
// is no reason not to serve: private memory stands in, and problem() says why.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace stayd {

class InFlightFile {
 public:
  InFlightFile(const std::string& path, std::size_t bytes);
  ~InFlightFile();
  InFlightFile(const InFlightFile&) = delete;
  InFlightFile& operator=(const InFlightFile&) = delete;

  std::span<std::byte> memory() { return memory_; }
  const std::string& problem() const { return problem_; }  // empty: none

 private:
  bool map(const std::string& path, std::size_t bytes);

  std::span<std::byte> memory_;
  std::vector<std::byte> private_;
  std::string problem_;
};

}  // namespace stayd
