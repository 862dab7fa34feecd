// Answers of DynamoDB: whatever the bytes are, they are an error or rows, and never a crash.
#include <cstdint>
#include <string_view>

#include "store/dynamodb/batch_get.h"
#include "store/dynamodb/connection.h"
#include "store/dynamodb/feed_cursor.h"

using namespace stayd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dynamo::Answer answer = dynamo::answer_of(text, 200);
  ValueCodec values;
  (void)dynamo::stored_row(full_key(0, "k"), &answer.body, &values);
  (void)dynamo::stored_row(full_key(0, "k"), &answer.body, nullptr);
  (void)dynamo::host_of(answer.body);
  (void)dynamo::head_of(&answer.body);
  (void)dynamo::meta_of(answer);
  (void)dynamo::table_state_of(answer);
  dynamo::BatchGet rows("t", true);
  (void)rows.take({answer});
  if (const auto place = dynamo::parse_place(text)) (void)dynamo::place_text(*place);
  return 0;
}
