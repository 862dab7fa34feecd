// Any bytes are either a row that encodes to the same bytes again, or an error with its place.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "store/ledger/info.h"
#include "store/ledger/row_codec.h"
#include "store/ledger/tombs.h"

namespace {

using namespace stayd;

void check_error(const Error& error) {
  const bool known = error.code == Errc::corrupt || error.code == Errc::newer_format;
  if (!known || error.message.empty()) std::abort();
}

void check_row(std::string_view bytes) {
  const Result<StoredRow> row = decode_row(bytes);
  const Result<StoredRow> header = decode_row_header(bytes);
  if (static_cast<bool>(row) != static_cast<bool>(header)) std::abort();
  if (!row) return check_error(row.error());
  if (encode_row(*row) != bytes) std::abort();
  StoredRow without_payload = *row;
  without_payload.payload.clear();
  if (*header != without_payload) std::abort();
  // What the header cache does with it.
  const RowHeader kept = encode_row_header(*header);
  const Result<StoredRow> again = decode_row_header(kept.text());
  if (!again || *again != *header) std::abort();
}

void check_others(std::string_view bytes) {
  const Result<LedgerInfo> info = decode_info(bytes);
  if (info && encode_info(*info) != bytes) std::abort();
  if (!info) check_error(info.error());
  const Result<double> score = decode_score(bytes);
  if (score && encode_score(*score) != bytes) std::abort();
  if (!score) check_error(score.error());
  const std::optional<TombEntry> tomb = decode_tomb(bytes);
  if (tomb && encode_tomb(*tomb) != bytes) std::abort();
  const ElementKey key = parse_element_key(bytes);
  if (!key.valid) return;
  if (!bytes.starts_with(element_prefix(key.row_key, key.generation))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_row(bytes);
  check_others(bytes);
  return 0;
}
