#include "abi/machine.h"

#include <algorithm>
#include <utility>

#include "abi/secrets.h"
#include "base/batch.h"
#include "base/text.h"
#include "engine/head_text.h"

namespace lb {

// Holds the turn. A function of the host that runs within one finds it held by its own thread.
class Machine::Turn {
 public:
  explicit Turn(Machine& machine) : machine_(machine), nested_(machine.in_turn()) {
    if (nested_) return;
    machine_.turn_mutex_.lock();
    machine_.owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }
  ~Turn() {
    if (nested_) return;
    machine_.owner_.store({}, std::memory_order_relaxed);
    machine_.turn_mutex_.unlock();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Machine& machine_;
  const bool nested_;
};

void Machine::LogShelf::deliver(std::vector<Event>& events) {
  for (Event& event : events)
    if (!queues_.empty())
      queues_.front()->add(std::move(event));
    else if (kept_.size() < Queue::kLogsMax)
      kept_.push_back(std::move(event));
}

// --- Opening ---

Machine::Machine(const lb_engine_options& options)
    : options_(options), selector_(options.select, options.select_ctx), inbox_(calls_max()) {}

Result<std::shared_ptr<Machine>> Machine::open(const lb_engine_options& options, std::string_view config) {
  auto machine = std::make_shared<Machine>(options);
  if (std::optional<Error> error = machine->assemble(config)) return std::move(*error);
  if (machine->driven()) return machine;
  auto* self = new std::shared_ptr<Machine>(machine);  // The thread's.
  if (std::optional<Error> error = machine->thread_.start(run_thread, self)) {
    delete self;
    return std::move(*error);
  }
  return machine;
}

std::optional<Error> Machine::assemble(std::string_view text) {
  Result<std::shared_ptr<const Config>> config = parse(text);
  if (!config.ok()) return config.error();
  Result<std::unique_ptr<Loop>> loop = Loop::open(*this);
  if (!loop.ok()) return loop.error();
  loop_ = std::move(loop.value());
  inbox_.set_loop(loop_.get());
  EngineOptions options;
  options.seed = options_.seed ? options_.seed : Loop::random_seed();
  options.calls_max = calls_max();
  options.log_level = static_cast<LogLevel>(options_.log_level);
  options.log = &log_;
  options.unix_time_s = Loop::unix_time_s;
  engine_ = std::make_unique<Engine>(*loop_, options, config.value(), Loop::now());
  selector_.attach(engine_->fleet());
  gateway_ = std::make_unique<Gateway>(*engine_, *loop_);
  loop_->poke();  // The first turn sets the timers.
  return apply(config.value());
}

Result<std::shared_ptr<const Config>> Machine::parse(std::string_view text) const {
  HostSecrets secrets;
  Result<std::shared_ptr<const Config>> config =
      parse_config(text, options_.flags & LB_ENGINE_SECRETS ? &secrets : nullptr, SecretUse::read);
  if (!config.ok() || !(options_.flags & LB_ENGINE_NO_LISTEN)) return config;
  auto deaf = std::make_shared<Config>(*config.value());
  deaf->listen.clear();
  return std::shared_ptr<const Config>(std::move(deaf));
}

void Machine::run_thread(void* machine) {
  std::unique_ptr<std::shared_ptr<Machine>> self(static_cast<std::shared_ptr<Machine>*>(machine));
  (*self)->loop_->run();
  (*self)->finish();
}

// --- Any thread ---

Result<lb_call> Machine::start(Queue& queue, const lb_call_options& options, std::string_view head,
                               std::string_view body) {
  Result<std::unique_ptr<CallSpec>> blank = inbox_.blank();
  if (!blank.ok()) return blank.error();
  std::unique_ptr<CallSpec> spec = std::move(blank.value());
  Result<Head> parsed =
      parse_head_text(head, head_bytes_max_.load(std::memory_order_relaxed), std::move(spec->head));
  if (!parsed.ok()) return parsed.error();
  uint64_t body_max = body_bytes_max_.load(std::memory_order_relaxed);
  if (body.size() > body_max)
    return Error{Status::INVALID, "", "the body has " + std::to_string(body.size()) + " bytes, limits.body_bytes is " +
                                          std::to_string(body_max)};
  spec->sink = &queue;
  spec->user_data = options.user_data;
  spec->delivery = static_cast<Delivery>(options.delivery);
  spec->attempts = options.flags & LB_CALL_ATTEMPTS;
  spec->deadline = Duration::from_ms(options.deadline_ms);
  spec->window_bytes = options.window_bytes;
  spec->priority = options.priority;
  spec->head = std::move(parsed.value());
  if (!body.empty()) spec->body.push(Chunk::copy(body));
  spec->body_complete = !(options.flags & LB_CALL_APPEND);
  spec->body_length.reset();
  if (spec->body_complete)
    spec->body_length = body.size();
  else if (const std::string* length = spec->head.find("content-length"))
    spec->body_length = parse_u64(trim(*length));  // The parser has seen that it is one number.
  return inbox_.start(std::move(spec));
}

Status Machine::append(lb_call call, std::string_view bytes, bool last) {
  Command command;
  command.kind = Command::Kind::append;
  command.last = last;
  if (!bytes.empty()) command.bytes = Chunk::copy(bytes);
  return inbox_.push_for(call, std::move(command));
}

Status Machine::credit(lb_call call, uint64_t bytes) {
  Command command;
  command.kind = Command::Kind::credit;
  command.amount = bytes;
  return inbox_.push_for(call, std::move(command));
}

Status Machine::cancel(lb_call call) { return inbox_.push_for(call, {}); }

Status Machine::attach(std::shared_ptr<Queue> queue) {
  Command command;
  command.kind = Command::Kind::attach;
  command.queue = std::move(queue);
  return inbox_.push(std::move(command));
}

void Machine::detach(std::shared_ptr<Queue> queue) {
  Command command;
  command.kind = Command::Kind::detach;
  command.queue = std::move(queue);
  static_cast<void>(inbox_.push(std::move(command)));  // CLOSED: the engine has let go of it.
}

std::optional<Error> Machine::configure(std::string_view text) {
  if (in_turn()) return Error{Status::INVALID, "", "not from a wake or deliver function: it waits for the turn to end"};
  Result<std::shared_ptr<const Config>> config = parse(text);
  if (!config.ok()) return config.error();
  if (driven()) {
    Turn turn(*this);
    if (!loop_) return Error{Status::CLOSED, "", "the engine is closed"};
    loop_->poke();
    return apply(config.value());
  }
  Command command;
  command.kind = Command::Kind::configure;
  command.change = std::make_shared<Change>(std::move(config.value()));
  std::shared_ptr<Change> change = command.change;
  if (inbox_.push(std::move(command)) != Status::OK) return Error{Status::CLOSED, "", "the engine is closed"};
  return change->wait();
}

Status Machine::close(uint32_t drain_ms) {
  Command command;
  command.kind = Command::Kind::close;
  command.amount = drain_ms;
  return inbox_.push(std::move(command));
}

Result<std::string> Machine::address(std::string_view name) {
  Turn turn(*this);
  if (!gateway_) return Error{Status::CLOSED, "", "the engine is closed"};
  return gateway_->address(name);
}

std::optional<std::string> Machine::stats(uint32_t format) {
  Turn turn(*this);
  if (!gateway_) return std::nullopt;
  return format == 0 ? gateway_->stats_json() : gateway_->stats_prometheus();
}

std::optional<Error> Machine::mark(std::string_view deployment, std::string_view model, uint64_t ms) {
  Turn turn(*this);
  if (!engine_) return Error{Status::CLOSED, "", "the engine is closed"};
  if (!engine_->mark(deployment, model, Fleet::mark_length(ms))) return Error{Status::INVALID, "", kNobodyToMark};
  if (!in_turn()) loop_->poke();
  return std::nullopt;
}

void Machine::free() {
  bool inside = in_turn();
  if (driven()) {
    if (inside)
      freed_ = true;
    else
      finish();
    return;
  }
  inbox_.stop_loop();
  inside ? EngineThread::detach() : thread_.join();
}

// --- Driven ---

intptr_t Machine::fd() const { return driven() ? loop_->fd() : -1; }

int32_t Machine::timeout_ms() {
  if (!driven()) return -1;
  Turn turn(*this);
  return loop_->timeout_ms();
}

Status Machine::turn_once() {
  if (!driven() || in_turn()) return Status::INVALID;
  Turn turn(*this);
  loop_->turn_once();
  if (freed_) finish();
  return Status::OK;
}

// --- The turn ---

void Machine::turn(std::vector<Completion>& completions, Instant now) {
  Turn turn(*this);
  const size_t came = completions.size();
  engine_->begin(now);
  gateway_->begin(now);
  for (Completion& completion : completions) {
    if (Engine::ours(completion.tag))
      engine_->complete(completion);
    else if (Gateway::ours(completion.tag))
      gateway_->complete(completion);
  }
  size_t ran = run_commands();
  settle();
  advance_close(now);
  bool gathering = gathers(came + ran);
  if (!gathering) publish();
  Instant next = std::min(engine_->next_wake(), gateway_->next_wake());
  if (closing_ && !closed_) next = std::min(next, drain_until_);
  loop_->wake_at(gathering || ran == kCommandsPerTurn ? now : next);
}

void Machine::settle() {
  engine_->settle();
  gateway_->flush();
}

// How many: at most kCommandsPerTurn, and then there may be more.
size_t Machine::run_commands() {
  for (size_t ran = 0; ran < kCommandsPerTurn; ran++) {
    if (next_command_ == commands_.size()) {
      next_command_ = 0;
      inbox_.take(commands_);
      if (commands_.empty()) return ran;
    }
    Command command = std::move(commands_[next_command_++]);
    run(command);
  }
  return kCommandsPerTurn;
}

// May the events of this turn, which had so much to do, wait for those of the next? Where it was one thing, the next
// may be far. A host that drives the engine looks for them at once.
bool Machine::gathers(size_t work) {
  bool staged = std::any_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue->staged(); });
  bool gathering = gather_until_ != Instant::never();
  if (!staged || work < (gathering ? 1 : 2) || driven() || closing_ || engine_->calls() < kGatherCalls) return false;
  gather_until_ = std::min(gather_until_, engine_->now() + kGather);
  return engine_->now() < gather_until_;
}

void Machine::run(Command& command) {
  CallRecord* record = command.call ? inbox_.find(command.call) : nullptr;
  switch (command.kind) {
    case Command::Kind::start:
      return begin_call(command, record);
    case Command::Kind::append:
      if (!record) return;
      engine_->append_body(record->inner, std::move(command.bytes), command.last);
      return engine_->want_room(record->inner);
    case Command::Kind::credit:
      if (record) engine_->credit(record->inner, command.amount);
      return;
    case Command::Kind::cancel:
      if (record) engine_->cancel(record->inner);
      return;
    case Command::Kind::attach:
      queues_.push_back(std::move(command.queue));
      return;
    case Command::Kind::detach:
      return drop_queue(command.queue);
    case Command::Kind::configure:
      if (std::shared_ptr<const Config> config = command.change->take()) command.change->answer(apply(config));
      return;
    case Command::Kind::close:
      return begin_close(command.amount);
  }
}

void Machine::begin_call(Command& command, CallRecord* record) {
  if (!record) return;  // Its queue went away first.
  auto* queue = static_cast<Queue*>(command.spec->sink);
  Result<CallId> inner = engine_->start(std::move(*command.spec));
  if (inner.ok()) {
    command.spec->head = engine_->take_blank_head();
    read_.push_back(std::move(command.spec));
    record->inner = inner.value();
    return engine_->want_room(record->inner);
  }
  // Calls of the gateway have taken the last place in between: the one way left in which a start is refused.
  Event event;
  event.kind = Event::Kind::done;
  event.status = inner.error().status;
  event.call = command.call;
  event.user_data = reinterpret_cast<uint64_t>(record);
  event.time = engine_->now();
  event.detail = std::make_unique<Detail>();
  event.detail->message = inner.error().message;
  queue->add(std::move(event));
}

void Machine::drop_queue(const std::shared_ptr<Queue>& queue) {
  engine_->forget(*queue);
  inbox_.end_all_of(*queue);
  std::erase(queues_, queue);
  retired_.push_back(queue);  // Until the engine has swept its calls.
}

std::optional<Error> Machine::apply(const std::shared_ptr<const Config>& config) {
  if (closing_) return Error{Status::CLOSED, "", "the engine is closing"};
  Error why;
  if (gateway_->configure(*config, Loop::now(), &why) != Status::OK) return why;
  engine_->configure(config);
  head_bytes_max_.store(config->limits.head_bytes, std::memory_order_relaxed);
  body_bytes_max_.store(config->limits.body_bytes, std::memory_order_relaxed);
  return std::nullopt;
}

// --- The end ---

void Machine::begin_close(uint64_t drain_ms) {
  Instant until = engine_->now() + Duration::from_ms(static_cast<int64_t>(drain_ms));
  drain_until_ = std::min(drain_until_, until);
  if (std::exchange(closing_, true)) return;
  gateway_->drain(engine_->now());
  engine_->close(false);
}

void Machine::advance_close(Instant now) {
  if (!closing_ || closed_) return;
  bool quiet = engine_->calls() == 0 && gateway_->idle();
  if (quiet || now >= drain_until_) cut();
}

// Ends what is left, and says so on each queue.
void Machine::cut() {
  engine_->close(true);
  settle();
  gateway_->close();
  engine_->settle();
  closed_ = true;
  for (const std::shared_ptr<Queue>& queue : queues_) {
    Event event;
    event.kind = Event::Kind::closed;
    event.time = engine_->now();
    queue->add(std::move(event));
  }
}

// Calls leave the table before their DONE can be seen, so that a host that sees it may start the next one.
void Machine::publish() {
  gather_until_ = Instant::never();
  for (const std::shared_ptr<Queue>& queue : queues_) queue->name_staged(ended_);
  inbox_.end(ended_, read_);
  ended_.clear();
  empty_batch(read_);
  for (const std::shared_ptr<Queue>& queue : queues_) queue->publish();
  retired_.clear();
}

void Machine::finish() {
  Turn turn(*this);
  inbox_.shut();
  engine_->begin(Loop::now());
  while (run_commands() == kCommandsPerTurn) {
  }
  if (!closed_) {
    closing_ = true;
    cut();
  }
  publish();
  inbox_.set_loop(nullptr);
  gateway_.reset();
  engine_.reset();
  loop_.reset();
  queues_.clear();
}

}  // namespace lb
