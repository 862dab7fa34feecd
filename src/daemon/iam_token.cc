#include "daemon/iam_token.h"

#include "store/aws_signature.h"

namespace stayd {

std::string iam_token(const IamUser& user, const AwsKeys& keys, std::int64_t wall_ms) {
  PresignedRequest request;
  request.host = user.cache;
  request.query = {{"Action", "connect"}, {"User", user.user}};
  if (user.serverless) request.query["ResourceType"] = "ServerlessCache";
  request.region = user.region;
  request.service = "elasticache";
  request.expires_s = kTokenSeconds;
  return presign(request, keys, wall_ms);
}

}  // namespace stayd
