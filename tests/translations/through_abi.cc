// Only lb.h is used; what it gives is compared as direct.cc's is.
#include <cstring>

#include "base/rng.h"
#include "lb.h"
#include "translations/became.h"
#include "translations/canonical.h"

namespace lb::translations {

namespace {

constexpr size_t kRandomCuts = 8;  // Besides whole and byte by byte; direct.cc cuts at every byte.

uint32_t number_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::openai: return LB_DIALECT_OPENAI;
    case Dialect::responses: return LB_DIALECT_RESPONSES;
    case Dialect::anthropic: return LB_DIALECT_ANTHROPIC;
    case Dialect::gemini: return LB_DIALECT_GEMINI;
  }
  return 0;
}

// One call's options, result and error.
struct Host {
  explicit Host(const Case& which) {
    options.struct_size = sizeof options;
    out.struct_size = sizeof out;
    error.struct_size = sizeof error;
    options.model = which.model.data();
    options.model_len = which.model.size();
    options.id = which.id.data();
    options.id_len = which.id.size();
    options.created_s = kCreated;
    options.output_max = which.output_max_default;
    auto flag = [&](bool wanted, uint32_t bit) { options.flags |= wanted ? bit : 0; };
    flag(which.stream_usage, LB_TRANSLATE_USAGE);
    flag(which.classic_max_tokens, LB_TRANSLATE_MAX_TOKENS);
    flag(which.thinking_back, LB_TRANSLATE_THINKING_BACK);
    flag(which.classic_thinking, LB_TRANSLATE_THINKING_BUDGET);
  }
  ~Host() { lb_free(out.body); }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Became json(lb_status status) const {
    Became became;
    if (status != LB_OK) {
      became.verdict = Expected::Verdict::refused;
      became.text = std::string(error.where) + ": " + error.message;
      return became;
    }
    if (std::strlen(out.body) != out.body_len) became.wrong = "the body does not end where its length says";
    std::optional<std::string> json = canonical_json(out.body);
    if (!json) became.wrong = "what was written is no JSON: " + std::string(out.body);
    became.text = json.value_or("") + "\n";
    became.losses = out.lost;
    return became;
  }

  lb_translate_options options = {};
  lb_translated out = {};
  lb_error error = {};
};

Became run_request(const Case& which, uint32_t from, uint32_t to) {
  Host host(which);
  if (which.model.empty()) {
    host.options.model = "m";
    host.options.model_len = 1;
  }
  const std::string& body = which.input;
  Became out =
      host.json(lb_translate_request(from, to, body.data(), body.size(), &host.options, &host.out, &host.error));
  if (host.out.body && !*host.out.path) out.wrong = "a request without a path";
  return out;
}

Became run_answer(const Case& which, uint32_t from, uint32_t to) {
  Host host(which);
  const std::string& body = which.input;
  return host.json(lb_translate_answer(from, to, body.data(), body.size(), &host.options, &host.out, &host.error));
}

Became run_error(const Case& which, uint32_t from, uint32_t to) {
  Host host(which);
  const std::string& body = which.input;
  return host.json(lb_translate_error(from, to, which.status, body.data(), body.size(), &host.out, &host.error));
}

// In pieces of random sizes below `most`, each of which is gone after it has been read.
Became run_stream(const Case& which, Dialect to, std::string_view bytes, size_t most, Rng& rng) {
  Host host(which);
  lb_translation* stream = nullptr;
  Became out;
  if (lb_translate_open(number_of(which.from), number_of(to), &host.options, &stream, &host.error) != LB_OK)
    return {Expected::Verdict::refused, host.error.message, "", ""};
  std::string text;
  while (!bytes.empty()) {
    std::string own(bytes.substr(0, 1 + rng.below(most)));
    bytes.remove_prefix(own.size());
    const char* part = nullptr;
    size_t size = 0;
    if (lb_translate_feed(stream, own.data(), own.size(), &part, &size) != LB_OK) out.wrong = "it takes no more";
    text.append(part, size);
  }
  lb_status status = lb_translate_end(stream, &host.out);
  lb_translate_free(stream);
  text.append(host.out.body, host.out.body_len);
  if (status != LB_OK) out.verdict = status == LB_UPSTREAM ? Expected::Verdict::failed : Expected::Verdict::cut;
  if (status != LB_OK && host.out.body_len) out.wrong = "something was appended to a stream that is not whole";
  out.text = canonical_stream(to, text);
  out.losses = host.out.lost;
  return out;
}

Became run_stream(const Case& which, Dialect to) {
  std::string bytes = stream_bytes(which.from, which.input);
  Rng rng(bytes.size());
  Became first = run_stream(which, to, bytes, 1, rng);
  for (size_t i = 0; i < kRandomCuts; i++) {
    Became other = run_stream(which, to, bytes, 1 + rng.below(bytes.size()), rng);
    if (other.text == first.text && other.losses == first.losses && other.verdict == first.verdict) continue;
    first.wrong = "cut otherwise it becomes:\n" + other.text;
    break;
  }
  return first;
}

}  // namespace

Became run(const Case& which, Dialect to) {
  switch (which.kind) {
    case Kind::request: return run_request(which, number_of(which.from), number_of(to));
    case Kind::answer: return run_answer(which, number_of(which.from), number_of(to));
    case Kind::stream: return run_stream(which, to);
    case Kind::error: return run_error(which, number_of(which.from), number_of(to));
  }
  return {};
}

bool translates(const Case& which, Dialect to) { return which.from != to; }

}  // namespace lb::translations
