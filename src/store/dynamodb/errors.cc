#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "store/dynamodb/exchange.h"

namespace stayd::dynamo {
namespace {

namespace json = boost::json;

struct Meaning {
  const char* type;
  Errc code;
  bool retry, fatal;
  const char* advice;
};

constexpr Meaning kMeanings[] = {
    {"ProvisionedThroughputExceededException", Errc::unavailable, true, false, ""},
    {"ThrottlingException", Errc::unavailable, true, false, ""},
    {"ThrottledException", Errc::unavailable, true, false, ""},
    {"RequestLimitExceeded", Errc::unavailable, true, false, ""},
    {"InternalServerError", Errc::io, true, false, ""},
    {"InternalFailure", Errc::io, true, false, ""},
    {"ServiceUnavailable", Errc::io, true, false, ""},
    {"TransactionConflictException", Errc::unavailable, true, false, ""},
    {"TransactionInProgressException", Errc::unavailable, true, false, ""},
    {"LimitExceededException", Errc::unavailable, true, false, ""},
    // What its asker looks at itself.
    {"ConditionalCheckFailedException", Errc::io, false, false, ""},
    {"TransactionCanceledException", Errc::io, false, false, ""},
    {"ResourceInUseException", Errc::busy, false, false, ""},
    {"UnknownOperationException", Errc::invalid, false, false, ""},
    {"ResourceNotFoundException", Errc::unavailable, false, true, "run \"stayd backup init\""},
    {"AccessDeniedException", Errc::unavailable, false, false,
     "see docs/operating.md for the rights it needs"},
    {"UnrecognizedClientException", Errc::unavailable, false, true, "look at the AWS credentials"},
    {"ExpiredTokenException", Errc::unavailable, false, true, ""},
    {"InvalidSignatureException", Errc::unavailable, false, true,
     "look at the AWS credentials, the region, and this machine's clock"},
    {"IncompleteSignatureException", Errc::unavailable, false, true, ""},
    {"MissingAuthenticationTokenException", Errc::unavailable, false, true, ""},
    {"ItemCollectionSizeLimitExceededException", Errc::no_space, false, false,
     "10 GB of a sixteenth of all rows: purge"},
    {"RequestEntityTooLarge", Errc::limit, false, false, ""},
};

std::string one_line(std::string_view text) {
  std::string out(text.substr(0, 500));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return out;
}

std::string text_at(const json::object& body, const char* name) {
  const json::value* value = body.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

SqlError error_of(const std::string& type, const std::string& message, int status) {
  SqlError out;
  out.state = type;
  std::string text = fmt::format("backup: DynamoDB: {} ({})", one_line(message), type);
  const auto* row =
      std::ranges::find_if(kMeanings, [&type](const Meaning& one) { return one.type == type; });
  if (row == std::end(kMeanings)) {
    out.error = make_error(Errc::io, text);
    out.retry = status >= 500;
    return out;
  }
  if (*row->advice != '\0') text += fmt::format(": {}", row->advice);
  out.error = make_error(row->code, text);
  out.retry = row->retry;
  out.fatal = row->fatal;
  return out;
}

Answer answer_of(std::string_view body, int status) {
  Answer out;
  boost::system::error_code problem;
  json::value value = json::parse(body, problem);
  if (!problem && value.is_object()) {
    out.body = std::move(value.get_object());
    if (status == 200) return out;
    const std::string type = text_at(out.body, "__type");
    out.type = type.substr(type.rfind('#') + 1);
    std::string message = text_at(out.body, "message");
    if (message.empty()) message = text_at(out.body, "Message");
    out.error = error_of(out.type, message, status);
    return out;
  }
  out.type = fmt::format("HTTP {}", status);
  const std::string what = problem ? fmt::format("the answer is no JSON: {}", problem.message())
                                   : std::string("the answer is no JSON object");
  out.error = error_of(out.type, what, status);
  return out;
}

}  // namespace stayd::dynamo
