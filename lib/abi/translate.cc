// lb_translate_*: the translators of wire/dialect, for hosts that send requests themselves.
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "abi/arguments.h"
#include "lb.h"
#include "wire/dialect/translate.h"
#include "wire/escape.h"
#include "wire/operation.h"

namespace {

using lb::Dialect;
using lb::Error;
using lb::is_text;
using lb::report;
using lb::Status;
using lb::view;
using lb::write_struct;

constexpr uint32_t kFlags = LB_TRANSLATE_STREAM | LB_TRANSLATE_USAGE | LB_TRANSLATE_MAX_TOKENS |
                            LB_TRANSLATE_THINKING_BACK | LB_TRANSLATE_THINKING_BUDGET;
// What a struct must have room for, so that its body can be freed.
constexpr size_t kLeast = offsetof(lb_translated, body_len) + sizeof(size_t);

// What every function is given first.
struct Asked {
  Dialect from = Dialect::openai, to = Dialect::openai;
  lb_translate_options options;
  bool same() const { return from == to; }
  bool flag(uint32_t bit) const { return (options.flags & bit) != 0; }
  std::string_view model() const { return view(options.model, options.model_len); }
  lb::WriteAnswer how() const {
    return {.model = model(), .id = view(options.id, options.id_len), .created = options.created_s,
            .stream_usage = flag(LB_TRANSLATE_USAGE)};
  }
};

std::optional<Error> read_dialect(uint32_t given, Dialect& out) {
  switch (given) {
    case LB_DIALECT_OPENAI: out = Dialect::openai; return std::nullopt;
    case LB_DIALECT_RESPONSES: out = Dialect::responses; return std::nullopt;
    case LB_DIALECT_ANTHROPIC: out = Dialect::anthropic; return std::nullopt;
    case LB_DIALECT_GEMINI: out = Dialect::gemini; return std::nullopt;
    default: break;
  }
  return Error{Status::INVALID, "", "dialect " + std::to_string(given) + " is none; write one of LB_DIALECT_*"};
}

std::optional<Error> read_asked(uint32_t from, uint32_t to, const lb_translate_options* options, Asked& out) {
  if (auto error = read_dialect(from, out.from)) return error;
  if (auto error = read_dialect(to, out.to)) return error;
  if (auto error = lb::read_options(options, out.options)) return error;
  if (out.options.flags & ~kFlags)
    return Error{Status::UNSUPPORTED, "", "of the flags only LB_TRANSLATE_* have a meaning here"};
  if (!is_text(out.options.model, out.options.model_len) || !is_text(out.options.id, out.options.id_len))
    return Error{Status::INVALID, "", "options.model or options.id is NULL"};
  return std::nullopt;
}

lb::Operation operation_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai: return lb::Operation::chat;
    case Dialect::responses: return lb::Operation::responses;
    case Dialect::anthropic: return lb::Operation::messages;
    case Dialect::gemini: return lb::Operation::generate;
  }
  return lb::Operation::chat;
}

// What a function makes, until it is written to the host's struct.
struct Made {
  std::string body, path, model, lost;
  lb::Tokens tokens;
  uint32_t flags = 0, left_out = 0;
};

void clear(lb_translated& out) {
  uint32_t size = out.struct_size;
  out = {};
  out.struct_size = size;
}

// All texts in one piece of memory, so that there is one thing to free.
void fill(const Made& made, lb_translated& out) {
  clear(out);
  std::string all = made.body;
  size_t path = all.append(1, '\0').size(), model = all.append(made.path).append(1, '\0').size();
  size_t lost = all.append(made.model).append(1, '\0').size();
  out.body = lb::allocated(all.append(made.lost), nullptr);
  out.body_len = made.body.size();
  out.path = out.body + path;
  out.model = out.body + model;
  out.lost = out.body + lost;
  out.flags = made.flags;
  out.left_out = made.left_out;
  auto tell = [&](const std::optional<uint64_t>& value, uint32_t bit, uint64_t& field) {
    field = value.value_or(0);
    if (value) out.known |= bit;
  };
  tell(made.tokens.input, LB_KNOWN_TOKENS_IN, out.tokens_in);
  tell(made.tokens.output, LB_KNOWN_TOKENS_OUT, out.tokens_out);
  tell(made.tokens.cached, LB_KNOWN_TOKENS_CACHED, out.tokens_cached);
}

// Writes what was made, or says why there is nothing.
lb_status answer_host(const lb::Result<Made>& made, lb_translated* out, lb_error* err) {
  lb_status wrote = write_struct(out, kLeast, [&](lb_translated& to) {
    made.ok() ? fill(made.value(), to) : clear(to);
    return lb_status{LB_OK};
  });
  if (wrote != LB_OK) return report(err, Status::INVALID, "out is NULL, or its struct_size is not set");
  return made.ok() ? lb::report_ok(err) : report(err, made.error());
}

// A request as it came, but for its model.
std::optional<Error> pass_request(const Asked& asked, std::string_view body, Made& out) {
  auto root = lb::Raw::parse(body);
  if (!root.ok()) return Error{Status::INVALID, "", "the body is no JSON: " + root.error().message};
  lb::Raw model;
  for (lb::RawWalk at = root.value().walk(); at.next();) {
    if (!at.is("model")) continue;
    if (model.present()) return Error{Status::INVALID, "model", "stands there twice; write it once"};
    model = at.value();
  }
  out.body = body;
  out.model = model.decoded();
  if (root.value()["stream"].is_true()) out.flags |= LB_TRANSLATE_STREAM;
  if (root.value()["stream_options"]["include_usage"].is_true()) out.flags |= LB_TRANSLATE_USAGE;
  if (model.present() && asked.options.model_len)
    out.body.replace(static_cast<size_t>(model.text().data() - body.data()), model.text().size(),
                     lb::json_quote(asked.model()));
  return std::nullopt;
}

std::optional<Error> write_request(const Asked& asked, std::string_view body, Made& out) {
  lb::Store store;
  auto read = lb::read_request(asked.from, body, store);
  if (!read.ok()) return read.error();
  lb::Request& request = read.value();
  out.model = lb::decode_inner(request.model);
  if (asked.flag(LB_TRANSLATE_STREAM) && asked.from == Dialect::gemini) request.stream = true;
  lb::WriteRequest how{.model = asked.options.model_len ? asked.model() : out.model,
                       .classic_max_tokens = asked.flag(LB_TRANSLATE_MAX_TOKENS),
                       .thinking_back = asked.flag(LB_TRANSLATE_THINKING_BACK),
                       .classic_thinking = asked.flag(LB_TRANSLATE_THINKING_BUDGET)};
  if (asked.options.output_max) how.output_max_default = asked.options.output_max;
  auto written = lb::write_request(asked.to, request, how, store);
  if (!written.ok()) return written.error();
  out.body = std::move(written.value().body);
  out.lost = written.value().losses.text();
  if (request.stream) out.flags |= LB_TRANSLATE_STREAM;
  if (request.stream_usage) out.flags |= LB_TRANSLATE_USAGE;
  return std::nullopt;
}

lb::Result<Made> make_request(const Asked& asked, std::string_view body) {
  Made made;
  if (auto error = asked.same() ? pass_request(asked, body, made) : write_request(asked, body, made)) return *error;
  std::string model = asked.options.model_len ? std::string(asked.model()) : made.model;
  if (model.empty()) return Error{Status::INVALID, "model", "is said nowhere; write it, or options.model"};
  bool stream = (made.flags & LB_TRANSLATE_STREAM) != 0 ||
                (asked.from == Dialect::gemini && asked.flag(LB_TRANSLATE_STREAM));
  if (stream) made.flags |= LB_TRANSLATE_STREAM;
  made.path = lb::operation_path(operation_of(asked.to), model, stream);
  return made;
}

lb::Result<Made> make_answer(const Asked& asked, std::string_view body) {
  lb::Store store;
  auto read = lb::read_answer(asked.from, body, store);
  if (!read.ok()) return read.error();
  Made made;
  made.tokens = read.value().usage;
  lb::Losses losses;
  made.body = asked.same() ? std::string(body) : lb::write_answer(asked.to, read.value(), asked.how(), losses);
  made.lost = losses.text();
  return made;
}

lb::Result<Made> make_error(const Asked& asked, uint32_t status, std::string_view body) {
  if (status < 400 || status > 599) return Error{Status::INVALID, "", "http_status is that of an error, 400 to 599"};
  lb::Head head;
  head.status = static_cast<uint16_t>(status);
  Made made;
  made.body = asked.same() ? std::string(body)
                           : lb::translate_error(asked.to, status, lb::openai_error(head, body, 0));
  return made;
}

}  // namespace

struct lb_translation {
  explicit lb_translation(const Asked& asked) : same(asked.same()), translator(asked.from, asked.to, asked.how()) {}

  const bool same;
  bool ended = false;
  uint32_t left_out = 0;
  lb::SseParser parser;
  // Of a stream that passes as it is, it finds usage and how it ends; what it writes is not used.
  lb::StreamTranslator translator;
  std::string text;
};

extern "C" {

lb_status lb_translate_request(uint32_t from, uint32_t to, const void* body, size_t body_len,
                               const lb_translate_options* options, lb_translated* out, lb_error* err) {
  Asked asked;
  if (!is_text(body, body_len)) return report(err, Status::INVALID, "body is NULL");
  if (auto error = read_asked(from, to, options, asked)) return answer_host(*error, out, err);
  return answer_host(make_request(asked, view(body, body_len)), out, err);
}

lb_status lb_translate_answer(uint32_t from, uint32_t to, const void* body, size_t body_len,
                              const lb_translate_options* options, lb_translated* out, lb_error* err) {
  Asked asked;
  if (!is_text(body, body_len)) return report(err, Status::INVALID, "body is NULL");
  if (auto error = read_asked(from, to, options, asked)) return answer_host(*error, out, err);
  return answer_host(make_answer(asked, view(body, body_len)), out, err);
}

lb_status lb_translate_error(uint32_t from, uint32_t to, uint32_t http_status, const void* body, size_t body_len,
                             lb_translated* out, lb_error* err) {
  Asked asked;
  if (!is_text(body, body_len)) return report(err, Status::INVALID, "body is NULL");
  if (auto error = read_asked(from, to, nullptr, asked)) return answer_host(*error, out, err);
  return answer_host(make_error(asked, http_status, view(body, body_len)), out, err);
}

lb_status lb_translate_open(uint32_t from, uint32_t to, const lb_translate_options* options, lb_translation** out,
                            lb_error* err) {
  Asked asked;
  if (!out) return report(err, Status::INVALID, "out is NULL");
  *out = nullptr;
  if (auto error = read_asked(from, to, options, asked)) return report(err, *error);
  *out = new lb_translation(asked);
  return lb::report_ok(err);
}

lb_status lb_translate_feed(lb_translation* stream, const void* bytes, size_t len, const char** out, size_t* out_len) {
  if (!stream || !out || !out_len || !is_text(bytes, len)) return LB_INVALID;
  *out_len = 0;
  *out = "";
  if (stream->ended) return LB_GONE;
  stream->text.clear();
  lb::SseEvent event;
  for (std::string_view rest = view(bytes, len); stream->parser.next(rest, event);)
    if (!stream->translator.event(event, stream->text) && event.data != "[DONE]") stream->left_out++;
  if (stream->parser.faulty()) return LB_TOO_LARGE;
  if (stream->same) stream->text.assign(view(bytes, len));
  *out = stream->text.c_str();
  *out_len = stream->text.size();
  return LB_OK;
}

lb_status lb_translate_end(lb_translation* stream, lb_translated* out) {
  if (!stream) return LB_INVALID;
  return write_struct(out, kLeast, [&](lb_translated& to) {
    clear(to);
    if (std::exchange(stream->ended, true)) return lb_status{LB_GONE};
    Made made;
    bool whole = stream->translator.end(made.body) && !stream->parser.faulty();
    if (stream->same || !whole) made.body.clear();
    made.tokens = stream->translator.usage();
    if (!stream->same) made.lost = stream->translator.losses().text();
    made.left_out = stream->left_out;
    fill(made, to);
    return lb_status{whole ? LB_OK : stream->translator.failed() ? LB_UPSTREAM : LB_BROKEN};
  });
}

void lb_translate_free(lb_translation* stream) { delete stream; }

}  // extern "C"
