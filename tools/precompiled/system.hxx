// What nearly every source includes, compiled once for all of them. Headers of the system only: a
// change in src/ must not compile everything. It stands in for no #include: see STAYD_PCH.
#include <algorithm>
#include <array>
#include <boost/system/result.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
