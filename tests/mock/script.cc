#include "mock/script.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "mock/errors.h"
#include "mock/text.h"

namespace lb::mock {

namespace {

constexpr double kMinuteMs = 60'000;
constexpr std::string_view kHtml =
    "<html>\r\n<head><title>Error</title></head>\r\n<body>\r\n<center><h1>Error</h1></center>\r\n"
    "<hr><center>mock</center>\r\n</body>\r\n</html>\r\n";

// "2", "0.25": no more digits than milliseconds need.
std::string seconds(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, std::round(value * 1000) / 1000).ptr};
}

bool has_key(std::string_view header_lines, std::string_view in_path, const std::string& key) {
  if (in_path == key) return true;
  const std::string_view bearer = find_field(header_lines, "authorization");
  if (bearer.size() == key.size() + 7 && bearer.starts_with("Bearer ") && bearer.substr(7) == key) return true;
  const auto has = [&](std::string_view name) { return find_field(header_lines, name) == key; };
  return has("api-key") || has("x-api-key") || has("x-goog-api-key");
}

}  // namespace

std::string http_date(int64_t wall_s) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t time = static_cast<time_t>(wall_s);
  tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[parts.tm_wday], parts.tm_mday,
           kMonths[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return text;
}

Script::Script(std::shared_ptr<const Options> options, double now_ms)
    : options_(std::move(options)),
      start_ms_(now_ms),
      ids_(Rng(options_->seed).split(options_->behaviour.name)),  // Mocks of one seed differ.
      jitter_(Rng(options_->seed).split("jitter")),
      faults_(Rng(options_->seed).split("fault")),
      rule_calls_(options_->per_call.size()) {}

const Behaviour* Script::choose(std::string_view model) {
  const Behaviour* chosen = nullptr;
  for (size_t i = 0; i < options_->per_call.size(); i++) {
    const Rule& rule = options_->per_call[i];
    if (!rule.model.empty() && rule.model != model) continue;
    if (rule.takes(++rule_calls_[i]) && !chosen) chosen = &rule.behaviour;  // All rules count, the first one takes.
  }
  if (chosen) return chosen;
  for (const auto& [name, behaviour] : options_->per_model)
    if (name == model) return &behaviour;
  return &options_->behaviour;
}

bool Script::admits(std::string_view path, std::string_view header_lines) const {
  const std::string& key = options_->behaviour.key;
  return key.empty() || has_key(header_lines, query(path, "key"), key);
}

// What providers refuse in every request of theirs.
bool Script::refused(const Ask& ask, std::string_view header_lines, Verdict* out) const {
  const Behaviour& behaviour = *out->behaviour;
  const auto refuse = [&](uint32_t status, std::string_view message) {
    out->status = status;
    out->ready = true;
    out->content_type = "application/json";
    add_error(ask.voice, status, {}, message, {}, &out->body);
    return true;
  };
  if (!behaviour.key.empty() && !has_key(header_lines, ask.key, behaviour.key))
    return refuse(401, "Incorrect API key provided (mock).");
  if (!ask.is_object) return refuse(400, "We could not parse the JSON body of your request (mock).");
  if (ask.model.empty()) return refuse(400, "you must provide a model parameter");
  if (ask.voice == Voice::anthropic && find_field(header_lines, "anthropic-version").empty())
    return refuse(400, "anthropic-version: header is required");
  if (behaviour.only_models &&
      std::find(behaviour.models.begin(), behaviour.models.end(), ask.model) == behaviour.models.end())
    return refuse(404, "The model does not exist or you do not have access to it (mock).");
  return false;
}

double Script::wait_ms(const Behaviour& behaviour, double now_ms) {
  const Limit& limit = behaviour.limit;
  double wait = -1;
  if (limit.every_ms > 0) {
    const double phase = std::fmod(now_ms - start_ms_, limit.every_ms);
    if (phase >= limit.every_ms - limit.for_ms) wait = limit.every_ms - phase;
  }
  if (limit.rpm == 0) return wait;
  const auto same = [&](const Minute& minute) { return minute.behaviour == &behaviour; };
  auto minute = std::find_if(minutes_.begin(), minutes_.end(), same);
  if (minute == minutes_.end()) minute = minutes_.insert(minutes_.end(), {&behaviour, now_ms, 0});
  if (now_ms - minute->start_ms >= kMinuteMs) *minute = {&behaviour, now_ms, 0};
  if (minute->calls < limit.rpm) {
    if (wait < 0) minute->calls++;
    return wait;
  }
  return std::max(wait, minute->start_ms + kMinuteMs - now_ms);
}

void Script::limit(Voice voice, double wait_ms, const Clock& now, Verdict* out) const {
  const Limit& limit = out->behaviour->limit;
  const double told_s = limit.retry_after_s.value_or(wait_ms / 1000);
  out->status = 429;
  out->limited = out->ready = true;
  out->content_type = "application/json";
  std::string in_body;
  switch (limit.form) {
    case LimitForm::seconds:
      // What was given is told as it is; the true time in whole seconds, as most providers do.
      if (limit.retry_after_s) add(&out->headers, "retry-after: ", seconds(told_s), "\r\n");
      else add(&out->headers, "retry-after: ", static_cast<int64_t>(std::ceil(told_s)), "\r\n");
      break;
    case LimitForm::ms:
      add(&out->headers, "retry-after-ms: ", static_cast<int64_t>(std::ceil(told_s * 1000)), "\r\n");
      break;
    case LimitForm::date:
      add(&out->headers, "retry-after: ", http_date(now.wall_s + static_cast<int64_t>(std::ceil(told_s))), "\r\n");
      break;
    case LimitForm::ratelimit:
      add(&out->headers, "x-ratelimit-limit-requests: ", std::max(limit.rpm, 1u),
          "\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: ", seconds(told_s), "s\r\n");
      break;
    case LimitForm::body: in_body = seconds(told_s) + "s"; break;
    case LimitForm::none: break;
  }
  const std::string message = "Rate limit reached for requests (mock " + out->behaviour->name + ").";
  add_error(voice, 429, {}, message, in_body, &out->body);
}

void Script::fail(Voice voice, Verdict* out) {
  const Error& error = out->behaviour->error;
  out->status = error.status.size() == 1 ? error.status[0] : error.status[faults_.below(error.status.size())];
  out->ready = true;
  if (error.retry_after_s) add(&out->headers, "retry-after: ", seconds(*error.retry_after_s), "\r\n");
  std::string message = error.message;
  if (message.empty()) message = "The mock " + out->behaviour->name + " was told to fail.";
  switch (error.body) {
    case ErrorBody::json:
      out->content_type = "application/json";
      add_error(voice, out->status, error.code, message, {}, &out->body);
      break;
    case ErrorBody::html:
      out->content_type = "text/html";
      out->body = kHtml;
      break;
    case ErrorBody::text:
      out->content_type = "text/plain";
      out->body = message;
      break;
    case ErrorBody::empty: break;
  }
}

void Script::judge(const Ask& ask, std::string_view header_lines, const Clock& now, Verdict* out) {
  calls_++;
  out->options = options_;
  out->behaviour = choose(ask.model);
  out->status = 200;
  for (std::string* text : {&out->headers, &out->content_type, &out->body}) text->clear();
  out->ready = out->cut = out->stall = out->limited = out->die = false;
  const Behaviour& behaviour = *out->behaviour;
  if (behaviour.die_after_calls && calls_ > *behaviour.die_after_calls) out->die = true;
  if (out->die || refused(ask, header_lines, out)) return;
  const double wait = wait_ms(behaviour, now.ms);
  if (wait >= 0) return limit(ask.voice, wait, now, out);
  if (share(behaviour.error.rate)) return fail(ask.voice, out);
  out->cut = share(behaviour.cut.rate);
  out->stall = share(behaviour.stall.rate);
  if (behaviour.empty) out->ready = !ask.stream;
}

}  // namespace lb::mock
