// What packing a value costs: the table in docs/performance.md, "Encryption at rest".
//
//   pack_bench [milliseconds for each figure]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "bench_util.h"
#include "store/value_codec.h"

namespace {

using namespace stayd;

// As sessions are: a few fields that every one has, and values that none shares.
std::string session_of(std::size_t size) {
  std::string out = "{";
  for (std::uint64_t i = 1; out.size() < size; ++i) {
    out += fmt::format(R"("item{}":{{"id":"{:016x}","price":{},"added":"2026-01-{:02}"}},)", i,
                       i * 0x9e3779b97f4a7c15ULL, i * 37 % 1'000, i % 28 + 1);
  }
  out.resize(size);
  return out;
}

template <class Fn>
double us_each(double seconds, const Fn& fn) {
  std::uint64_t count = 0;
  const double start = cpu_seconds(RUSAGE_THREAD);
  double took = 0;
  do {
    for (int i = 0; i < 100; ++i) fn();
    count += 100;
    took = cpu_seconds(RUSAGE_THREAD) - start;
  } while (took < seconds);
  return took / static_cast<double>(count) * 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = (argc > 1 ? std::strtod(argv[1], nullptr) : 300) / 1'000;
  const ValueCodec::Place place{"r", "0123456789012345678901234567890123456789",
                                "0sess:0123456789"};
  const auto ring = std::make_shared<const KeyRing>(KeyRing::make());
  for (const std::size_t size : {100, 500, 4'000}) {
    const std::string value = session_of(size);
    std::string line = fmt::format("{:>5} bytes:", size);
    for (const bool zstd : {false, true}) {
      ValueCodec codec;
      codec.set_ring(ring);
      codec.set_compression(zstd);
      const std::string packed = codec.pack(value, place);
      const double write = us_each(seconds, [&] { codec.pack(value, place); });
      const double read = us_each(seconds, [&] { (void)codec.unpack(packed, place); });
      line += fmt::format("  {} write {:.2f} us, read {:.2f} us, stored {}",
                          zstd ? "compressed and sealed" : "sealed", write, read, packed.size());
    }
    fmt::print("{}\n", line);
  }
}
