// lb.h: checks of arguments, and forwarding. Nothing is decided here, and nothing throws: exceptions are off.
#include "lb.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "abi/arguments.h"
#include "abi/build_info.h"
#include "abi/machine.h"
#include "abi/secrets.h"

// Handles. Queues hold their engine's Machine, so that either may be freed first.
struct lb_engine {
  std::shared_ptr<lb::Machine> machine;
};

struct lb_queue {
  std::shared_ptr<lb::Machine> machine;
  std::shared_ptr<lb::Queue> queue;
};

using lb::is_text;
using lb::report;
using lb::Status;
using lb::view;

namespace {

constexpr lb_status to_c(Status status) { return static_cast<lb_status>(status); }

constexpr const char* kForked = "the engine belongs to another process; open one after fork";

}  // namespace

extern "C" {

// --- Version and status ---

uint32_t lb_abi(void) { return LB_ABI; }
uint32_t lb_version_number(void) { return LB_VERSION_NUMBER; }
const char* lb_build_info(void) {
  static const std::string* const info = new std::string(lb::build_info());  // As the schema below.
  return info->c_str();
}

const char* lb_status_name(lb_status status) { return lb::status_name(static_cast<Status>(status)); }
const char* lb_status_text(lb_status status) { return lb::status_text(static_cast<Status>(status)); }

int32_t lb_status_retryable(lb_status status) {
  switch (status) {
    case LB_FULL:
    case LB_DEADLINE:
    case LB_NO_UPSTREAM:
    case LB_LIMITED:
    case LB_CONNECT:
    case LB_TLS:
    case LB_PROTOCOL:
    case LB_UPSTREAM:
    case LB_BROKEN:
      return 1;
    default:
      return 0;
  }
}

// --- Configuration ---

lb_status lb_config_check(const char* config, size_t config_len, lb_error* err) {
  if (!is_text(config, config_len)) return report(err, Status::INVALID, "config is NULL");
  lb::HostSecrets secrets;
  auto parsed = lb::parse_config(view(config, config_len), &secrets, lb::SecretUse::check);
  return parsed.ok() ? lb::report_ok(err) : report(err, parsed.error());
}

const char* lb_config_schema(void) {
  static const std::string* const schema = new std::string(lb::config_schema());  // Never freed: it is lent for ever.
  return schema->c_str();
}

// --- Engine ---

lb_status lb_engine_open(const lb_engine_options* options, const char* config, size_t config_len, lb_engine** out,
                         lb_error* err) {
  if (!out || !is_text(config, config_len)) return report(err, Status::INVALID, "config or out is NULL");
  lb_engine_options known;
  if (auto error = lb::read_options(options, known)) return report(err, *error);
  if (auto error = lb::check(known)) return report(err, *error);
  auto machine = lb::Machine::open(known, view(config, config_len));
  if (!machine.ok()) return report(err, machine.error());
  *out = new lb_engine{std::move(machine.value())};
  return lb::report_ok(err);
}

lb_status lb_engine_configure(lb_engine* engine, const char* config, size_t config_len, lb_error* err) {
  if (!engine || !is_text(config, config_len)) return report(err, Status::INVALID, "engine or config is NULL");
  if (engine->machine->forked()) return report(err, Status::FORKED, kForked);
  if (auto error = engine->machine->configure(view(config, config_len))) return report(err, *error);
  return lb::report_ok(err);
}

lb_status lb_engine_close(lb_engine* engine, uint32_t drain_ms) {
  if (!engine) return LB_INVALID;
  if (engine->machine->forked()) return LB_FORKED;
  return to_c(engine->machine->close(drain_ms));
}

void lb_engine_free(lb_engine* engine) {
  if (!engine || engine->machine->forked()) return;  // In a child the handle is left alone, with all it holds.
  std::unique_ptr<lb_engine> handle(engine);
  std::shared_ptr<lb::Machine> machine = handle->machine;
  machine->free();
}

intptr_t lb_engine_fd(const lb_engine* engine) {
  return engine && !engine->machine->forked() ? engine->machine->fd() : -1;
}

int32_t lb_engine_timeout_ms(lb_engine* engine) {
  return engine && !engine->machine->forked() ? engine->machine->timeout_ms() : -1;
}

lb_status lb_engine_turn(lb_engine* engine) {
  if (!engine) return LB_INVALID;
  std::shared_ptr<lb::Machine> machine = engine->machine;  // The handle may be freed within the turn.
  return machine->forked() ? lb_status{LB_FORKED} : to_c(machine->turn_once());
}

int32_t lb_engine_address(lb_engine* engine, const char* name, size_t name_len, char* out, size_t cap) {
  if (!engine || !is_text(name, name_len) || !is_text(out, cap)) return LB_INVALID;
  if (engine->machine->forked()) return LB_FORKED;
  auto address = engine->machine->address(view(name, name_len));
  if (!address.ok()) return to_c(address.error().status);
  if (cap > 0) lb::copy_text(address.value(), out, cap);
  return static_cast<int32_t>(address.value().size());
}

char* lb_engine_stats(lb_engine* engine, uint32_t format, size_t* len) {
  if (!engine || format > 1 || engine->machine->forked()) return nullptr;
  std::optional<std::string> text = engine->machine->stats(format);
  return text ? lb::allocated(*text, len) : nullptr;
}

lb_status lb_engine_mark(lb_engine* engine, const char* name, size_t name_len, const char* model, size_t model_len,
                         uint64_t ms, lb_error* err) {
  if (!engine || !is_text(name, name_len) || !is_text(model, model_len))
    return report(err, Status::INVALID, "engine, name or model is NULL");
  if (engine->machine->forked()) return report(err, Status::FORKED, kForked);
  if (auto error = engine->machine->mark(view(name, name_len), view(model, model_len), ms)) return report(err, *error);
  return lb::report_ok(err);
}

// --- Queue ---

lb_status lb_queue_open(lb_engine* engine, const lb_queue_options* options, lb_queue** out, lb_error* err) {
  if (!engine || !out) return report(err, Status::INVALID, "engine or out is NULL");
  if (engine->machine->forked()) return report(err, Status::FORKED, kForked);
  lb_queue_options known;
  if (auto error = lb::read_options(options, known)) return report(err, *error);
  if (auto error = lb::check(known)) return report(err, *error);
  auto queue = std::make_shared<lb::Queue>(known);
  if (engine->machine->attach(queue) != Status::OK) return report(err, Status::CLOSED, "the engine is closed");
  *out = new lb_queue{engine->machine, std::move(queue)};
  return lb::report_ok(err);
}

int32_t lb_queue_poll(lb_queue* queue, lb_event* out, size_t cap, int32_t timeout_ms) {
  if (!queue || !is_text(out, cap)) return LB_INVALID;
  if (queue->machine->forked()) return LB_FORKED;
  if (queue->queue->pushes()) return LB_INVALID;
  return queue->queue->poll(out, cap, timeout_ms);
}

intptr_t lb_queue_fd(lb_queue* queue) {
  return queue && !queue->machine->forked() ? queue->queue->fd() : -1;
}

void lb_queue_close(lb_queue* queue) {
  if (!queue || queue->machine->forked()) return;
  std::unique_ptr<lb_queue> handle(queue);
  handle->queue->close();
  handle->machine->detach(handle->queue);
}

// --- Calls ---

lb_status lb_call_start(lb_engine* engine, lb_queue* queue, const lb_call_options* options, const char* head,
                        size_t head_len, const void* body, size_t body_len, lb_call* out, lb_error* err) {
  if (!engine || !queue || !out || !is_text(head, head_len) || !is_text(body, body_len))
    return report(err, Status::INVALID, "engine, queue, head, body or out is NULL");
  if (engine->machine->forked()) return report(err, Status::FORKED, kForked);
  if (queue->machine != engine->machine) return report(err, Status::INVALID, "the queue is of another engine");
  lb_call_options known;
  if (auto error = lb::read_options(options, known)) return report(err, *error);
  if (auto error = lb::check(known)) return report(err, *error);
  auto call = engine->machine->start(*queue->queue, known, view(head, head_len), view(body, body_len));
  if (!call.ok()) return report(err, call.error());
  *out = call.value();
  return lb::report_ok(err);
}

lb_status lb_call_append(lb_engine* engine, lb_call call, const void* bytes, size_t len, int32_t last) {
  if (!engine || !is_text(bytes, len)) return LB_INVALID;
  if (engine->machine->forked()) return LB_FORKED;
  return to_c(engine->machine->append(call, view(bytes, len), last != 0));
}

lb_status lb_call_credit(lb_engine* engine, lb_call call, uint64_t bytes) {
  if (!engine) return LB_INVALID;
  if (engine->machine->forked()) return LB_FORKED;
  return to_c(engine->machine->credit(call, bytes));
}

lb_status lb_call_cancel(lb_engine* engine, lb_call call) {
  if (!engine) return LB_INVALID;
  if (engine->machine->forked()) return LB_FORKED;
  return to_c(engine->machine->cancel(call));
}

// --- Memory ---

void lb_free(void* ptr) { std::free(ptr); }

}  // extern "C"
