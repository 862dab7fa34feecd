// Short ways to write mutations. Tests only.
#pragma once

#include <string>
#include <utility>

#include "session/mutation.h"

namespace stayd {

inline constexpr std::int64_t kNow = 1'700'000'000'000;
using Kind = Mutation::Kind;

inline Mutation make(Kind kind, Hlc hlc) {
  Mutation mutation;
  mutation.kind = kind;
  mutation.hlc = hlc;
  return mutation;
}

inline Mutation put(Hlc hlc, std::string bytes, std::int64_t expires_at_ms = 0) {
  Mutation mutation = make(Kind::put, hlc);
  mutation.record.value = std::move(bytes);
  mutation.record.expires_at_ms = expires_at_ms;
  return mutation;
}

}  // namespace stayd
