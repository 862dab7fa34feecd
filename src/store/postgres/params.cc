#include "store/postgres/params.h"

#include "store/bytes.h"

namespace stayd {

void ArrayParam::add_null() {
  nulls_ = true;
  ++count_;
  append_big(elements_, std::int32_t{-1});
}

void ArrayParam::add_int8(std::int64_t value) {
  std::string bytes;
  append_big(bytes, value);
  add(bytes);
}

void ArrayParam::add_int2(std::int16_t value) {
  std::string bytes;
  append_big(bytes, value);
  add(bytes);
}

void ArrayParam::add(std::string_view element) {
  ++count_;
  append_big(elements_, static_cast<std::int32_t>(element.size()));
  elements_ += element;
}

// Dimensions, whether there are NULLs, the elements' type; then length and lower bound of the one
// dimension; then the elements. An empty array has no dimension.
std::string ArrayParam::bytes() const {
  std::string out;
  append_big(out, std::int32_t{count_ == 0 ? 0 : 1});
  append_big(out, std::int32_t{nulls_ ? 1 : 0});
  append_big(out, static_cast<std::uint32_t>(type_));
  if (count_ == 0) return out;
  append_big(out, count_);
  append_big(out, std::int32_t{1});
  out += elements_;
  return out;
}

void Params::add_int8(std::int64_t value) {
  std::string bytes;
  append_big(bytes, value);
  add(std::move(bytes));
}

}  // namespace stayd
