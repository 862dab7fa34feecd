// One client of the Redis port: bytes in, bytes out, no sockets.
//
//   bytes ─▶ parse ─▶ dispatch ─┬─ local command ────────── answered in place ─┐
//                               ├─ MULTI block ── queued until EXEC            ├─▶ client's order
//                               ─▶ output └─ CallHandler::submit ─ ─ ─ on_reply ─────────┘   (RESP2
//                               if so spoken)
//
// Replies leave strictly in the order of the commands. Commands that must not overtake others
// (every Handling but read, write and EXEC) wait until nothing of this client is under way, and the
// next command waits for them. A write waits for earlier commands on its keys, a read for earlier
// writes. An idle session holds no buffer and no call.
//
// Ownership: owned by the connection in net/; io, handler, counters and context outlive it. Its
// calls under way are orphaned when it dies. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/call.h"
#include "observe/counters.h"
#include "proxy/port_context.h"
#include "proxy/pubsub_hub.h"
#include "resp/request_parser.h"

namespace stayd {

// The connection, as a session sees it. Implemented by net/resp_listener.cc. No call into it ever
// calls back into the session or destroys it during the call.
class ClientIo {
 public:
  virtual ~ClientIo() = default;
  // The unsent output; append to it. It is sent at the end of the loop turn.
  virtual std::string& output() = 0;
  virtual std::size_t unsent_bytes() const = 0;
  // Since when the client has taken nothing of it; 0: there is none.
  virtual std::int64_t stalled_since_us() const = 0;
  // Closes after the output is sent (`at_once`: without sending), and then destroys the session.
  virtual void close(bool at_once) = 0;
  // No more on_bytes until resumed. Keeps what the kernel holds; that is the back-pressure.
  virtual void pause_reading(bool paused) = 0;
  // Asks for ClientSession::resume() at the end of this loop turn.
  virtual void request_resume() = 0;
};

struct ClientAddress {
  std::string peer;  // "127.0.0.1:51234", or "/run/x.sock:0"
  std::string local;
};

class ClientSession final : public PubSubListener {
 public:
  ClientSession(ClientIo& io, CallHandler& handler, Counters& counters, PortContext& context,
                ClientAddress address);
  ~ClientSession() override;
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  // context.now is current in all of these.
  void on_bytes(std::string_view bytes);
  // The client sends no more: closes when everything under way is answered; at once when a blocking
  // command waits.
  void on_eof();
  // Parsing may go on (after request_resume, or when output has drained).
  void resume();
  bool waits_for_drain() const { return blocked_; }
  // Closes for the limits that time decides. Call about each second.
  void check_limits();
  // Counts what it holds now. Call when output has been sent.
  void count_buffers();

  // From the CallPool.
  void on_reply(PendingCall& call, std::string_view reply);

  // --- PubSubListener ---
  void push_message(std::string_view channel, std::string_view payload) override;
  void push_pmessage(std::string_view pattern, std::string_view channel,
                     std::string_view payload) override;
  void on_subscribed() override;

  std::uint64_t id() const { return id_; }
  const ClientAddress& address() const { return address_; }
  std::string_view user() const;
  bool subscribed() const;
  void kill();                               // CLIENT KILL from another client
  void append_info(std::string& out) const;  // one line of CLIENT LIST, without newline

 private:
  enum class ReplyMode : std::uint8_t { on, off, skip_next, skip };
  struct Block;   // between MULTI and EXEC
  struct Topics;  // subscriptions
  struct Names;   // name, user, library

  // client_session.cc: bytes and order
  void parse(std::string_view& bytes);
  bool may_parse() const;
  bool request_is_late() const;
  void settle(std::string_view rest);
  void update_pause();
  void protocol_error(std::string_view text);
  void close_when_answered();
  PendingCall& append_call(const CommandSpec* spec);
  void emit(PendingCall& call, std::string_view reply);
  void emit_exec(PendingCall& call, std::string_view reply);
  void emit_done();
  void end_call(PendingCall& call);
  bool muted() const { return reply_mode_ == ReplyMode::off || reply_mode_ == ReplyMode::skip; }
  void command_ended();

  // client_dispatch.cc: which way a command goes. False: it must wait; nothing happened.
  bool dispatch(std::string_view frame, const Args& args);
  bool route(const CommandSpec& spec, std::string_view frame, const Args& args);
  bool is_behind(const CommandSpec& spec, const Args& args) const;
  bool forward(const CommandSpec& spec, std::string_view frame, const Args& args, bool exclusive);
  bool server_command(const CommandSpec& spec, std::string_view frame, const Args& args);
  bool allowed_while_subscribed(const CommandSpec& spec) const;
  void reject(std::string_view error);  // answers an error that spoils an open MULTI
  void error(std::string_view text);
  void ok();
  // Answers with one RESP3 reply.
  void answer(std::string_view resp3, const CommandSpec* spec, const Args& args);
  void answer_final(std::string_view bytes);  // bytes in the client's protocol

  // local_commands.cc
  bool local(const CommandSpec& spec, std::string_view frame, const Args& args);
  // A local command that may also stand in a MULTI block: appends its RESP3 reply; false: not one.
  bool local_reply(const CommandSpec& spec, const Args& args, std::string& out);
  void hello(const Args& args);
  void auth(const Args& args);
  void select(const Args& args);
  bool reset();
  void quit();
  bool authenticate(std::string_view user, std::string_view password);
  bool set_name(std::string_view name);

  // client_commands.cc
  bool client_unblock(const CommandSpec& spec, std::string_view frame, const Args& args);
  void client_command(const CommandSpec& spec, const Args& args, std::string& out);
  void client_list(const Args& args, std::string& out);
  void client_kill(const Args& args, std::string& out);
  bool client_reply(const Args& args);

  // client_multi.cc
  bool transaction(const CommandSpec& spec, std::string_view frame, const Args& args);
  void queue(const CommandSpec& spec, std::string_view frame, const Args& args);
  bool exec(const CommandSpec& spec, std::string_view frame, const Args& args);
  bool abandon_multi(std::string_view reply);
  bool watch(const CommandSpec& spec, std::string_view frame, const Args& args);
  void submit_unwatch();
  void end_multi();

  // client_pubsub.cc
  bool pubsub(const CommandSpec& spec, std::string_view frame, const Args& args);
  bool subscribe(const Args& args, bool pattern);
  bool unsubscribe(const Args& args, bool pattern);
  void answer_acks(std::string acks, bool wait);
  std::string recounted(const Call& call, std::string_view reply) const;
  void drop_subscriptions();
  void append_push_header(std::string& out, std::size_t size) const;
  void append_ack(std::string& out, std::string_view kind, const std::string_view* topic) const;
  void check_push_limit();
  Names& names();

  ClientIo& io_;
  CallHandler& handler_;
  Counters& counters_;
  PortContext& context_;
  ClientAddress address_;
  std::uint64_t id_;
  RequestParser parser_;
  std::string in_;               // the rest of an incomplete or waiting request
  PendingCall* head_ = nullptr;  // calls not yet answered to the client, in its order
  PendingCall* tail_ = nullptr;
  std::uint32_t queued_ = 0;       // length of that list
  std::uint32_t outstanding_ = 0;  // of these: submitted, not answered by the engine
  std::uint32_t outstanding_reads_ = 0;
  std::size_t held_bytes_ = 0;         // replies that wait for their turn
  std::size_t outstanding_bytes_ = 0;  // requests that wait for their replies
  std::size_t counted_bytes_ = 0;      // its part of context_.buffered
  std::unique_ptr<Block> block_;
  std::unique_ptr<Topics> topics_;
  std::unique_ptr<Names> names_;
  PendingCall* subscribing_ = nullptr;  // a SUBSCRIBE that waits for Redis' confirmation
  const CommandSpec* last_command_ = nullptr;
  std::int64_t created_us_;
  std::int64_t last_input_us_;
  std::int64_t request_since_us_ = 0;  // its first byte; 0: no request has begun
  std::int64_t over_limit_since_us_ = 0;
  std::size_t request_bytes_ = 0;  // of the command that is being dispatched
  std::size_t largest_reply_ = 0;  // since the output was last below the limit
  std::uint8_t db_ = 0;
  std::uint8_t proto_ = 2;
  ReplyMode reply_mode_ = ReplyMode::on;
  bool authenticated_ = false;
  bool watching_ = false;
  bool parsing_ = false;
  bool exclusive_ = false;  // an exclusive call is under way: parsing waits
  bool blocked_ = false;    // complete input waits for calls or for output
  bool paused_ = false;
  bool closing_ = false;  // parse no more; close when everything is answered
  bool closed_ = false;   // close was asked for
};

}  // namespace stayd
