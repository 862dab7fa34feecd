#include "proxy/call_pool.h"

#include "proxy/client_session.h"

namespace stayd {

CallPool::~CallPool() {
  while (free_ != nullptr) {
    PendingCall* next = free_->next;
    delete free_;
    free_ = next;
  }
}

PendingCall& CallPool::take(ClientSession& session) {
  PendingCall* call = free_;
  if (call == nullptr) {
    call = new PendingCall;
    ++all_;
  } else {
    free_ = call->next;
    --free_count_;
  }
  call->session = &session;
  call->next = nullptr;
  call->sink = this;
  return *call;
}

void CallPool::give(PendingCall& call) {
  if (free_count_ >= kMaxFree || call.raw.capacity() + call.reply.capacity() > kMaxKeptBytes) {
    delete &call;
    --all_;
    return;
  }
  call.clear();
  call.originals.clear();
  call.session = nullptr;
  call.muted = call.final_form = call.exclusive = false;
  call.next = free_;
  free_ = &call;
  ++free_count_;
}

void CallPool::on_reply(Call& call, std::string_view reply) {
  auto& pending = static_cast<PendingCall&>(call);
  if (pending.session == nullptr) return give(pending);
  pending.session->on_reply(pending, reply);
}

}  // namespace stayd
