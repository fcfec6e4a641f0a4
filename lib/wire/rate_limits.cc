#include "wire/rate_limits.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/text.h"

namespace lb {

namespace {

using Metric = StatedLimit::Metric;

constexpr Duration kMinute = Duration::from_s(60), kDay = Duration::from_s(86'400);

enum class Family : uint8_t { plain, token_limit, by_size, anthropic, ietf };

// One limit as it is written: views into the head.
struct Draft {
  Family family = Family::plain;
  std::string_view key;  // What stands in the name besides the family and the role; of the IETF's, the policy's name.
  std::string_view limit, remaining, reset;
  std::string_view window, unit;  // Parameters `w` and `qu` of the IETF.
};

// Twice what can be stated: some say their limit only, and a policy comes before its count.
constexpr size_t kDraftsMax = 2 * kStatedLimitsMax;

struct Drafts {
  std::array<Draft, kDraftsMax> items;
  size_t count = 0;
  bool groq = false;

  Draft* begin() { return items.data(); }
  Draft* end() { return items.data() + count; }
  const Draft* begin() const { return items.data(); }
  const Draft* end() const { return items.data() + count; }
  const Draft* find(Family family, std::string_view key) const {
    auto same = [&](const Draft& d) { return d.family == family && iequals(d.key, key); };
    const Draft* found = std::find_if(begin(), end(), same);
    return found == end() ? nullptr : found;
  }
  // Null if there is no room.
  Draft* at(Family family, std::string_view key) {
    if (const Draft* found = find(family, key)) return &items[static_cast<size_t>(found - begin())];
    if (count == kDraftsMax) return nullptr;
    items[count] = {family, key, {}, {}, {}, {}, {}};
    return &items[count++];
  }
};

// The first of a name counts, as in Head::get.
void put(std::string_view& place, std::string_view value) {
  if (place.empty()) place = trim(value);
}

// --- Names ---

// "requests-limit", "limit-requests", "limit": takes the role out of the name.
std::string_view Draft::* split_role(std::string_view& name) {
  constexpr struct {
    std::string_view name;
    std::string_view Draft::* role;
  } kRoles[] = {{"limit", &Draft::limit}, {"remaining", &Draft::remaining}, {"reset", &Draft::reset}};
  for (const auto& [word, role] : kRoles) {
    size_t size = word.size();
    if (istarts_with(name, word) && (name.size() == size || name[size] == '-')) {
      name.remove_prefix(std::min(size + 1, name.size()));
      return role;
    }
    if (name.size() <= size + 1) continue;
    size_t before = name.size() - size - 1;
    if (name[before] == '-' && iequals(name.substr(before + 1), word)) {
      name.remove_suffix(size + 1);
      return role;
    }
  }
  return nullptr;
}

// What a key counts, and over what time.
struct Meaning {
  std::optional<Metric> metric;     // Absent: something that lb does not count.
  std::optional<Duration> period;   // Absent: the key does not say.
  bool bare = false;                // It has no word for a metric.
};

constexpr Duration from_days(int64_t days) { return kDay * days; }

struct PeriodWord {
  std::string_view word;
  Duration period;
};
// "prompt" and "generated" are of Fireworks alone, whose documents say a minute in one place and a second in another.
constexpr PeriodWord kPeriods[] = {
    {"second", Duration::from_s(1)}, {"minute", kMinute},          {"hour", Duration::from_s(3600)}, {"day", kDay},
    {"month", from_days(30)},        {"prompt", Duration::zero()}, {"generated", Duration::zero()}};
constexpr std::string_view kRequestWords[] = {"requests", "request", "req"};
constexpr std::string_view kTokenWords[] = {"tokens", "token"};
constexpr std::string_view kInputWords[] = {"input", "prompt"};
constexpr std::string_view kOutputWords[] = {"output", "generated", "completion"};
// OpenAI: tokens_usage_based, project-tokens. Fireworks: tokens-cache-adjusted-prompt. DigitalOcean: tokens-per-day.
constexpr std::string_view kIdleWords[] = {"usage", "based", "project", "cache", "adjusted", "per"};

template <size_t N>
bool among(std::string_view word, const std::string_view (&words)[N]) {
  return std::any_of(words, words + N, [&](std::string_view w) { return iequals(w, word); });
}

// A key with a word that is not known counts something else: images, seconds of audio.
Meaning meaning_of(std::string_view key) {
  Meaning meaning;
  bool requests = false, tokens = false, input = false, output = false;
  while (!key.empty()) {
    size_t end = key.find_first_of("-_");
    std::string_view word = key.substr(0, end);
    key.remove_prefix(end == key.npos ? key.size() : end + 1);
    auto period = std::find_if(std::begin(kPeriods), std::end(kPeriods),
                               [&](const PeriodWord& p) { return iequals(p.word, word); });
    bool timed = period != std::end(kPeriods);
    if (timed) meaning.period = period->period;
    if (among(word, kRequestWords)) requests = true;
    else if (among(word, kTokenWords)) tokens = true;
    else if (among(word, kInputWords)) input = true;
    else if (among(word, kOutputWords)) output = true;
    else if (!timed && !among(word, kIdleWords)) return {};
  }
  meaning.bare = !requests && !tokens && !input && !output;
  if (requests && !tokens && !input && !output) meaning.metric = Metric::requests;
  if (tokens && !requests)
    meaning.metric = input == output ? Metric::tokens : input ? Metric::input_tokens : Metric::output_tokens;
  return meaning;
}

Duration period_of(std::string_view seconds) {
  std::optional<double> number = parse_finite(seconds);
  // Longer than a year is a mistake.
  if (!number || *number <= 0 || *number > 366 * 86'400.0) return Duration::zero();
  return Duration{static_cast<int64_t>(*number * 1e9)};
}

Meaning meaning_of(const Draft& draft) {
  if (draft.family == Family::ietf && !draft.key.empty()) {
    // The unit, else what the name says by chance, else requests: the draft's default.
    Meaning meaning = meaning_of(draft.unit.empty() ? draft.key : draft.unit);
    if (!meaning.metric && draft.unit.empty()) meaning.metric = Metric::requests;
    if (!draft.window.empty() || !meaning.period) meaning.period = period_of(draft.window);
    return meaning;
  }
  Meaning meaning = meaning_of(draft.key);
  if (draft.family == Family::token_limit || draft.family == Family::by_size)
    meaning.metric = meaning.bare ? std::optional(Metric::tokens) : std::nullopt;
  else if (meaning.bare)
    meaning.metric = Metric::requests;
  if (draft.key.empty()) meaning.period = period_of(draft.window);
  return meaning;
}

// --- Structured fields (RFC 9651), as far as these need them ---

// The part before `mark`, where that does not stand in quotes.
std::string_view next_part(std::string_view& rest, char mark) {
  bool quoted = false;
  size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != mark); at++) {
    if (rest[at] == '"') quoted = !quoted;
    if (rest[at] == '\\' && quoted) at++;
  }
  at = std::min(at, rest.size());
  std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return trim(part);
}

std::string_view unquoted(std::string_view text) {
  bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

void take_parameters(std::string_view parameters, Draft& draft) {
  while (!parameters.empty()) {
    std::string_view value = next_part(parameters, ';');
    std::string_view name = trim(split_off(value, '='));
    std::string_view Draft::* place = name == "q"    ? &Draft::limit
                                      : name == "r"  ? &Draft::remaining
                                      : name == "t"  ? &Draft::reset
                                      : name == "w"  ? &Draft::window
                                      : name == "qu" ? &Draft::unit
                                                     : nullptr;
    if (place) put(draft.*place, unquoted(trim(value)));
  }
}

// RateLimit: "name";r=50;t=30, and its policy: "name";q=100;w=60. Before draft 8: limit=100, remaining=50, reset=30.
void take_list(std::string_view list, Drafts& drafts) {
  while (!list.empty()) {
    std::string_view member = next_part(list, ',');
    std::string_view name = next_part(member, ';');
    if (name.empty()) continue;
    std::string_view value = name, word = trim(split_off(value, '='));
    std::string_view Draft::* role = value.empty() || name.front() == '"' ? nullptr : split_role(word);
    Draft* draft = drafts.at(Family::ietf, role ? std::string_view() : unquoted(name));
    if (!draft) return;
    if (role) put(draft->*role, value);
    take_parameters(member, *draft);
  }
}

// X-RateLimit-Limit: 10, 10;w=1, 100;w=60: what applies, then all policies (drafts before 7, Envoy).
void take_limit_list(std::string_view list, Draft& draft) {
  std::string_view first = next_part(list, ',');
  put(draft.limit, next_part(first, ';'));
  if (!first.empty()) take_parameters(first, draft);
  while (!list.empty() && draft.window.empty()) {
    std::string_view member = next_part(list, ',');
    if (next_part(member, ';') == draft.limit) take_parameters(member, draft);
  }
}

// --- Fields ---

constexpr struct {
  std::string_view prefix;
  Family family;
} kPrefixes[] = {{"x-ratelimit-", Family::plain},
                 {"x-tokenlimit-", Family::token_limit},
                 {"x-ratelimitbysize-", Family::by_size},
                 {"ratelimitbysize-", Family::by_size},
                 {"anthropic-ratelimit-", Family::anthropic},
                 {"ratelimit-", Family::ietf}};

bool is_list(std::string_view name) { return iequals(name, "ratelimit") || iequals(name, "ratelimit-policy"); }

void take_field(const Head::Field& field, Drafts& drafts) {
  std::string_view name = field.name;
  if (istarts_with(name, "x-groq-")) drafts.groq = true;
  if (is_list(name)) return take_list(field.value, drafts);
  for (const auto& [prefix, family] : kPrefixes) {
    if (!istarts_with(name, prefix)) continue;
    name.remove_prefix(prefix.size());
    std::string_view Draft::* role = split_role(name);
    if (!role || (family == Family::ietf && !name.empty())) return;
    // Mistral says the minute with that word and without.
    if (family == Family::by_size && name.empty()) name = "minute";
    Draft* draft = drafts.at(family, name);
    if (!draft) return;
    if (role == &Draft::limit && name.empty()) take_limit_list(field.value, *draft);
    else put(draft->*role, field.value);
    return;
  }
}

// Most heads of some providers do not, and are not worth a table.
bool states_limits(const Head& head) {
  return std::any_of(head.fields.begin(), head.fields.end(), [](const Head::Field& field) {
    // Nearly every field ends here.
    char initial = field.name.empty() ? '\0' : ascii_lower(field.name[0]);
    if (initial != 'x' && initial != 'r' && initial != 'a') return false;
    return is_list(field.name) || std::any_of(std::begin(kPrefixes), std::end(kPrefixes), [&](const auto& one) {
             return istarts_with(field.name, one.prefix);
           });
  });
}

Drafts read_drafts(const Head& head) {
  Drafts drafts;
  for (const Head::Field& field : head.fields) take_field(field, drafts);
  // Draft 6 and 7 of the IETF: RateLimit-Policy: 100;w=60 belongs to the limit of that number.
  if (const Draft* bare = drafts.find(Family::ietf, {}); bare && !bare->limit.empty())
    if (const Draft* policy = drafts.find(Family::ietf, bare->limit))
      put(drafts.at(Family::ietf, {})->window, policy->window);
  return drafts;
}

// --- Values ---

std::optional<uint64_t> parse_count(std::string_view text) {
  std::optional<double> number = parse_finite(text);
  if (!number || *number < 0 || std::signbit(*number)) return std::nullopt;
  if (*number >= static_cast<double>(kStatedCountMax)) return kStatedCountMax;
  return static_cast<uint64_t>(*number);
}

// Nothing where the provider does not know, or does not say.
std::optional<uint64_t> remaining_of(const Draft& draft) {
  std::optional<uint64_t> remaining = parse_count(draft.remaining);
  if (remaining == 0 && !draft.limit.empty() && parse_count(draft.limit).value_or(0) == 0) return std::nullopt;
  return remaining;
}

std::string_view reset_of(const Draft& draft, const Meaning& meaning, const Drafts& drafts) {
  // Together and others have one reset for all that they count, without a name. It is not a day's.
  bool may_borrow = draft.family == Family::plain || draft.family == Family::token_limit;
  if (!draft.reset.empty() || !may_borrow || meaning.period.value_or(kMinute) > kMinute) return draft.reset;
  const Draft* bare = drafts.find(Family::plain, {});
  return bare ? bare->reset : draft.reset;
}

// What OpenAI's names count requests over; see the header.
Duration openai_period(const StatedLimit& limit, bool groq) {
  constexpr Duration kNoMinuteTakes = Duration::from_s(3600);
  constexpr double kDayFrom = 0.98 * 86'400, kDayTo = 1.02 * 86'400;  // Resets are rounded to a millisecond or so.
  if (limit.metric != Metric::requests) return kMinute;
  if (groq || (limit.reset && *limit.reset > kNoMinuteTakes)) return kDay;
  if (!limit.limit || !limit.reset || *limit.limit <= limit.remaining) return kMinute;
  double whole = static_cast<double>(limit.reset->ns) / 1e9 * static_cast<double>(*limit.limit) /
                 static_cast<double>(*limit.limit - limit.remaining);
  return whole > kDayFrom && whole < kDayTo ? kDay : kMinute;
}

StatedLimit limit_of(const Draft& draft, const Meaning& meaning, uint64_t remaining, std::string_view reset_text,
                     std::optional<Duration> reset, bool groq) {
  StatedLimit limit{*meaning.metric, parse_count(draft.limit), remaining, reset, false, Duration::zero()};
  if (limit.limit == 0) limit.limit.reset();
  bool openai_name = draft.family == Family::plain && !meaning.period;
  bool openai = openai_name && parse_span(reset_text);
  limit.continuous = openai || draft.family == Family::anthropic;
  limit.period = meaning.period.value_or(kMinute);
  if (openai || (openai_name && groq)) limit.period = openai_period(limit, groq);
  return limit;
}

}  // namespace

StatedLimits stated_limits(const Head& head, int64_t unix_now_s) {
  StatedLimits stated;
  if (!states_limits(head)) return stated;
  const Drafts drafts = read_drafts(head);
  for (const Draft& draft : drafts) {
    if (stated.count == kStatedLimitsMax) break;
    std::optional<uint64_t> remaining = remaining_of(draft);
    Meaning meaning = meaning_of(draft);
    if (!remaining || !meaning.metric) continue;
    std::string_view text = reset_of(draft, meaning, drafts);
    std::optional<Duration> reset = parse_reset(text, head, unix_now_s);
    stated.items[stated.count++] = limit_of(draft, meaning, *remaining, text, reset, drafts.groq);
  }
  return stated;
}

std::optional<Duration> exhausted_reset(const Head& head, int64_t unix_now_s) {
  const Drafts drafts = read_drafts(head);
  std::optional<Duration> longest;
  for (const Draft& draft : drafts) {
    if (remaining_of(draft) != 0) continue;
    std::optional<Duration> wait = parse_reset(reset_of(draft, meaning_of(draft), drafts), head, unix_now_s);
    if (wait && (!longest || *wait > *longest)) longest = wait;
  }
  return longest;
}

}  // namespace lb
