// Fixed-width integers as bytes: little-endian in values, big-endian in keys (so that they sort).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace stayd {

template <class T>
char* put_little(char* out, T value) {
  auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i) *out++ = static_cast<char>(bits >> (8 * i));
  return out;
}

template <class T>
T get_little(const char* in) {
  std::make_unsigned_t<T> bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    const auto byte = static_cast<unsigned char>(in[i]);
    bits = static_cast<std::make_unsigned_t<T>>(bits | static_cast<std::make_unsigned_t<T>>(byte)
                                                           << (8 * i));
  }
  return static_cast<T>(bits);
}

template <class T>
void append_big(std::string& out, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <class T>
T get_big(const char* in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(static_cast<T>(value << 8) | static_cast<unsigned char>(in[i]));
  }
  return value;
}

}  // namespace stayd
