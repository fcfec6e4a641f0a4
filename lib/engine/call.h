// The life of one call (design.md §3): its request body, its attempts, what it holds back, what it has delivered.
//
//   call.cc     begin, take the body, end
//   dispatch.cc route, choose a target, wait for one, give up
//   attempt.cc  one try: a link, the request on it, its failures
//   answer.cc   the response: hold, commit, relay within the window, break
//   validation.cc  answers that are checked, and asked for again
//   hedge.cc    a second attempt beside one that is slow, and which of the two stays
//   echo.cc     answers of echo deployments
//
// Invariants, checked here and by tests/sim: exactly one `done`, nothing after it; no attempt after `head`, and only
// one during it; every reservation settled or released once; delivered - credited <= window + one chunk.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/body.h"
#include "engine/context.h"
#include "engine/judgement.h"
#include "engine/translation.h"
#include "engine/validation.h"
#include "policy/retry.h"
#include "wire/answer.h"

namespace lb {

class Call {
 public:
  Call(Context& context, CallId id, CallSpec&& spec, Asked&& asked);
  ~Call();

  void begin();
  void append_body(Chunk bytes, bool last);
  bool body_room() const;
  void want_room();
  void credit(uint64_t bytes);
  void cancel();
  // The engine closes: the same, but a stream that has begun ends in the protocol's error event, if its window has
  // room.
  void stop();
  void on_timer(TimerKind kind);

  // The call is in Context::waiting: tries again. False: it stays there.
  bool admit();
  // It waits, and need not: a target may take it now.
  bool startable() const;

  void on_addresses(Link& link, const Names::Answer& answer);
  void on_patience(Link& link);  // One address took too long to connect.
  void on_link(Link& link, Completion& completion);

  EventSink* sink() const { return sink_; }
  bool waiting() const { return phase_ == Phase::waiting; }

 private:
  enum class Phase : uint8_t {
    reading,     // The model, or how large the call is, is not known yet.
    waiting,     // For a target.
    pausing,     // All targets have been tried: before they are tried again.
    connecting,  // A link is being made.
    sending,     // The request is not fully sent.
    head,        // The response head has not come.
    holding,     // It has, but nothing to commit to.
    relaying,    // Committed.
    ending,      // The answer is here; the caller has not taken all of it.
    done,
  };

  struct Attempt {
    uint32_t serial = 0;     // 0: there is none.
    policy::TargetIndex target = 0;
    uint64_t link = 0;       // 0: none (any more).
    Instant started;
    policy::Reservation reservation;
    policy::Ended ended{.verdict = policy::Verdict::no_fault};  // What is known so far of how it ended.
    ErrorClass failed_as = ErrorClass::none;
    bool reused = false;     // The link had served before.
    bool ours = false;       // What failed it is lb's own: no fault of the upstream.
    bool received = false;   // Bytes of a response have come.
    bool sent = false;       // Something of the request has been written.
    bool request_done = false;
    Operation operation = Operation::chat;  // As the target serves it.
    bool translated = false; // Target and caller speak different dialects.
    RequestBody body;        // What is sent in the place of the caller's, if it is complete.
    std::unique_ptr<StreamTranslator> stream;
    bool array_begun = false;  // Of array(): its first element has been held.
    bool chunked = false;    // The request's body is sent in chunks.
    uint64_t cursor = 0;     // In the caller's body: what comes next.
    std::string as;          // The model's name at the target; "" as it is.
    std::string splice;      // It goes into the body like this; "" it does not, or has done so by now.
    uint64_t splice_begin = 0, splice_end = 0;  // In the place of these bytes.
    Head head;               // Of the response.
    uint16_t status = 0;
    bool error = false;      // The answer is an error: it is gathered and judged.
    bool garbage = false;    // Bytes came after the end of the response.
    bool hedge = false;      // It was sent beside another.
    std::optional<Answer> answer;
    SseParser sse;
    uint64_t left_out = 0;   // Bytes of events that were not passed on.
  };

  // The attempt of a hedged call that is not in focus, with all that the members of the same names say of the one that
  // is. Whatever happens to a link happens to the attempt in focus, so that nothing else needs to know of two.
  struct Rival {
    Attempt attempt;
    Phase phase = Phase::connecting;
    Instant phase_due = Instant::never();
    bool events = false;
    Chain held;
    uint64_t held_begin = 0;
    uint64_t complete_to = 0;
    std::string served_by;
  };

  // An answer that another attempt was preferred to, given out if nothing better comes; or one of our own.
  struct LastAnswer {
    Head head;
    uint16_t status = 0;
    Chain body;
    policy::TargetIndex target = 0;
  };

  struct Failure {
    ErrorClass what = ErrorClass::none;
    std::string message;
    bool unsaid = false;  // The request could not be said in the target's dialect.
  };

  // dispatch.cc
  void route();
  bool choose_operations(const Route& route);
  void leave_out_unable();
  void learn_keys();
  policy::Ask ask() const;
  policy::Prompt prompt() const;
  bool again_after_pause();
  void add_trace(const policy::Ask& ask, const policy::Decision& decision);
  void trace_losses(const Losses& losses);
  void dispatch();
  void wait(const policy::Decision& decision);
  void give_up(Status why);
  void give_last();
  std::optional<Duration> shortest_wait() const;

  // call.cc
  bool take_body(Chunk bytes);
  void advance();
  void refuse(uint32_t code, std::string_view reason, std::string message);
  void abandon(policy::Ended::Took took);
  void end(Status status, uint32_t code, std::string message);
  void emit(Event::Kind kind, Event&& event);
  std::unique_ptr<Detail> detail(std::string message) const;
  void set_phase(Phase phase, Instant due);
  bool keeps_body() const;
  void check_room();
  void drop_body();
  policy::Plan& plan() const { return world_->plans[route_index_]; }
  const Route& route_config() const { return world_->config->routes[route_index_]; }
  Upstream& upstream_of(policy::TargetIndex target) {
    return context_.fleet.upstream(context_.fleet.target(target).upstream);
  }
  const Deployment& deployment() { return *upstream_of(attempt_.target).deployment; }

  // count.cc
  bool counting() const { return kind_of(operation_) == OperationKind::count; }
  void count();
  void count_failed();
  void count_here();
  Duration head_timeout();

  // attempt.cc
  enum class Start : uint8_t {
    first_or_next,
    again,  // The same target once more after a stale connection, on a fresh one and free of charge.
    hedge,
  };
  void start_attempt(policy::TargetIndex target, Start how);
  Link* link_for(policy::TargetIndex target, bool fresh);
  void connect_next(Link& link, std::string_view why);
  void doubt_name();
  void send_request(Link& link);
  void write_head(std::string& out);
  void fill_window(const Link& link, Chain& out);
  void pump_body(Link& link, Chain&& first);
  bool translate_request();
  bool read_request_whole(Error& error);
  void next_part();
  void place_splice();
  void send_on(Link* link);
  void write_path(std::string& out);
  // What the attempt sends.
  RequestBody& outgoing() { return attempt_.body.complete() ? attempt_.body : body_; }
  std::string whole_body();
  void use_body(std::string_view body);
  void push_body(Chain& out, Chain&& piece) const;
  void on_sent(Link& link);
  void link_lost(Link& link, Status status, std::string_view why);
  using Took = policy::Ended::Took;
  void fail(ErrorClass what, std::string message, std::optional<Duration> told = std::nullopt,
            Took took = Took::unknown);
  policy::Spent spent() const;
  void repeat_stale();
  bool may_repeat_stale() const;
  void judge(const Judgement& judgement);
  bool may_go_on(const Judgement& judgement);
  void note_attempt(ErrorClass what, const std::string& message);
  // Gives the target and its reservation back, and drops the link if it still has one.
  void close_attempt(Took took);
  // What an attempt has cost that ends without a word of usage.
  Took took_unheard(Took when_sent) const { return attempt_.sent ? when_sent : Took::nothing; }
  void leave_link(bool reusable);
  void on_phase_due();

  // answer.cc
  void on_bytes(Link& link, Chunk& chunk);
  bool on_piece(Link& link, const Chunk& chunk, const Http1Parser::Piece& piece);
  void on_head(Link& link);
  void hear_limits();
  void on_body(Chunk chunk);
  void on_end(Link* link);
  void inspect_events(const Chunk& chunk);
  void leave_out(uint64_t begin);
  // A stream's events go out as a JSON array.
  bool array() const { return asked_.array && delivery_ != Delivery::events; }
  bool rewrites() const { return attempt_.translated || array(); }
  void rewrite(const SseEvent& event);
  void hold_rewritten();
  void hold_array(std::string_view events);
  bool translate_answer();
  WriteAnswer how_to_answer() const;
  void judge_error(bool whole);
  void judge_answer();
  void note_first_content();
  void count_answer();
  bool go_larger();
  void commit();
  void release();
  void broken(Status status, std::string message);
  void finish_answer();
  uint64_t outstanding() const { return delivered_ > credited_ ? delivered_ - credited_ : 0; }

  // validation.cc
  void hold_checked(bool content);
  bool check_answer();
  void ask_again(const std::string& said, const std::string& error);
  bool extend_request(std::string_view said, std::string_view error);
  void give_up_checked(const std::string& said, const std::string& error);
  std::string held_text() const;

  // hedge.cc
  void arm_hedge();
  void hedge();
  void swap_rival();
  void focus(const Link& link) {
    if (rival_ && rival_->attempt.link == link.id) swap_rival();
  }
  // The attempt in focus is over, the other one is not: it goes on as the only one.
  void take_over();
  // The attempt in focus has content, or is the last word.
  void win();
  // Cancels the one that is not in focus.
  void drop_rival();
  // Content comes before the end.
  bool streams() const { return wants_stream() && delivery_ != Delivery::whole; }
  bool wants_stream() const { return asked_.in_path ? asked_.stream : scan_.stream(); }

  // echo.cc
  void echo_start();
  void echo_head();
  void echo_tick();
  bool echo() const { return echo_left_ >= 0; }

  Context& context_;
  const CallId id_;
  EventSink* sink_;
  const uint64_t user_data_;
  const Delivery delivery_;
  const bool want_attempts_;
  int32_t priority_;
  const Asked asked_;
  const Operation operation_;   // The caller's: asked_.operation.
  uint32_t window_;
  Duration deadline_given_;
  Head request_;
  std::optional<uint64_t> body_length_;
  const bool body_streams_;
  Chain body_first_;            // What came with the start, until `begin`.

  std::shared_ptr<World> world_;
  size_t route_index_ = 0;
  std::string larger_;           // The model that it goes on with by now, because its own was too small; "" not so.
  bool routed_ = false;
  bool needs_whole_ = false;     // Some target needs the request translated, for which all of it has to be here.
  std::unique_ptr<Translation> translation_;
  std::unique_ptr<Validation> validation_;  // Its answers are checked.
  RequestBody body_;
  OpenAiRequest scan_;
  std::string model_;
  bool room_wanted_ = false;

  Phase phase_ = Phase::reading;
  const Instant started_;
  std::optional<Instant> dispatched_;  // First.
  Instant waiting_since_;
  Instant deadline_ = Instant::never();
  Instant phase_due_ = Instant::never();
  Timer deadline_timer_;
  Timer phase_timer_;
  Timer tick_timer_;  // Waiting, until a hedge, and echo.

  uint32_t attempts_ = 0;
  uint32_t serials_ = 0;
  bool stale_used_ = false;
  Duration pause_;               // The last one before trying all targets again.
  Instant paused_until_;
  std::optional<Duration> told_;  // By the last answer: how long to stay away.
  policy::ScopeIndex caller_ = policy::kNoScope;
  uint64_t caller_key_ = 0;      // For fair shares.
  double caller_share_ = 1;
  uint64_t affinity_key_ = 0;
  bool traced_ = false;          // The caller wants to know why.
  std::string trace_;            // Decisions so far, each a JSON object.
  std::vector<policy::TargetIndex> tried_;  // Before these the ones that lack the operation:
  size_t unable_ = 0;                       // so many.
  Attempt attempt_;
  std::unique_ptr<Rival> rival_;  // Only while there are two.
  bool hedged_ = false;           // At most once a call.
  std::optional<LastAnswer> last_;
  Failure failure_;

  bool events_ = false;          // The committed or held answer is an event stream.
  bool head_emitted_ = false;
  bool answer_ended_ = false;    // No more will be added to held_.
  bool in_band_error_ = false;   // The upstream's own error event is in the stream.
  bool error_said_ = false;      // The last event of what is held, or was delivered, says that the stream broke.
  bool split_event_ = false;     // Part of an unfinished event has been released.
  Status end_status_ = Status::OK;
  std::string end_message_;
  std::string error_code_;
  Chain held_;                   // Received, not delivered.
  uint64_t held_begin_ = 0;      // Offset of its first byte in the body.
  uint64_t complete_to_ = 0;     // Offset behind the last whole event.
  uint64_t delivered_ = 0;
  uint64_t credited_ = 0;
  std::optional<Instant> first_byte_;
  uint32_t final_status_ = 0;
  std::string served_by_;
  Usage usage_;

  int64_t echo_left_ = -1;       // Pieces still to come; -1: not an echo.
  RequestId request_id_;
  std::string_view counted_;     // "estimate" or "exact": the tokens were counted here, and how.
};

// What an HTTP answer of lb's own says for a class of failure.
uint32_t http_status_of(ErrorClass what);
Status status_of(ErrorClass what);

}  // namespace lb
