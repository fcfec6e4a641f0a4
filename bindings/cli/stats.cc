// lb stats: what a gateway's deployments are doing, as a table that keeps itself up to date.
#include <algorithm>
#include <cjson/cJSON.h>
#include <cmath>
#include <memory>
#include <string>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "command.h"
#include "fetch.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kName = "lb stats";

constexpr Option kOptions[] = {
    {"once", '1', Option::Kind::flag, "", "Print one table and end.", 0, 0},
    {"interval", 'i', Option::Kind::number, "S", "Seconds between two looks; 1 by default.", 0.1, 3600},
    {"json", 'j', Option::Kind::flag, "", "Print the JSON of /stats as it is, a line for each look.", 0, 0},
};

using Tree = std::unique_ptr<cJSON, decltype(&cJSON_Delete)>;

const cJSON* at(const cJSON* tree, const char* name) { return cJSON_GetObjectItemCaseSensitive(tree, name); }

double number(const cJSON* tree, const char* name) {
  const cJSON* item = at(tree, name);
  return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

std::string text(const cJSON* tree, const char* name) {
  const char* value = cJSON_GetStringValue(at(tree, name));
  return value ? harmless(value) : "";
}

std::string whole(double value) { return std::to_string(static_cast<int64_t>(value)); }

// "-" where nothing was measured: absent is not zero.
std::string milliseconds(const cJSON* histogram, const char* percentile) {
  const cJSON* item = at(histogram, percentile);
  if (!cJSON_IsNumber(item)) return "-";
  double ms = item->valuedouble;
  if (ms >= 10'000) return whole(ms / 1000) + " s";
  if (ms >= 10) return whole(ms) + " ms";
  return whole(std::floor(ms)) + "." + whole(std::floor(ms * 10 - std::floor(ms) * 10)) + " ms";
}

struct Cell {
  std::string text;
  Colour colour = Colour::none;
  bool right = true;
};
using Row = std::vector<Cell>;

// Columns of a UTF-8 text: its bytes without those that continue a character.
size_t columns_of(std::string_view value) {
  return static_cast<size_t>(
      std::count_if(value.begin(), value.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string layout(const std::vector<Row>& rows, bool colour) {
  std::vector<size_t> width(rows[0].size(), 0);
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); i++) width[i] = std::max(width[i], columns_of(row[i].text));
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); i++) {
      std::string pad(width[i] - columns_of(row[i].text), ' ');
      std::string shown = paint(colour, row[i].colour, row[i].text);
      line.append(i ? "  " : "").append(row[i].right ? pad + shown : shown + (i + 1 < row.size() ? pad : ""));
    }
    out.append(line).append("\n");
  }
  return out;
}

std::string state_of(const cJSON* target) {
  std::string state = text(target, "state");
  std::string by = text(target, "cooled_by");
  if (state != "cooling") return state;
  double left = number(target, "open_in_ms");
  return state + " " + (left < 1000 ? whole(left) + " ms" : whole(left / 1000) + " s") + (by.empty() ? "" : " " + by);
}

Row target_row(const cJSON* deployment, const cJSON* target) {
  double failed = 0;
  const cJSON* kind = nullptr;
  cJSON_ArrayForEach(kind, at(target, "failed")) failed += cJSON_IsNumber(kind) ? kind->valuedouble : 0;
  std::string state = state_of(target);
  const cJSON* latency = at(target, "latency_ms");
  return {{text(deployment, "name"), Colour::bold, false},
          {text(target, "model"), Colour::none, false},
          {state, state == "up" ? Colour::green : Colour::yellow, false},
          {whole(number(target, "in_flight"))},
          {whole(number(target, "ok"))},
          {whole(failed), failed > 0 ? Colour::red : Colour::none},
          {milliseconds(latency, "p50")},
          {milliseconds(latency, "p99")},
          {milliseconds(at(target, "ttft_ms"), "p50")}};
}

std::string duration(double ms) {
  int64_t s = static_cast<int64_t>(ms / 1000);
  if (s < 60) return std::to_string(s) + " s";
  if (s < 3600) return std::to_string(s / 60) + " min " + std::to_string(s % 60) + " s";
  return std::to_string(s / 3600) + " h " + std::to_string(s % 3600 / 60) + " min";
}

std::string table(const cJSON* tree, bool colour) {
  const cJSON* calls = at(tree, "calls");
  std::string out = "lb " + text(tree, "version") + ", up " + duration(number(tree, "uptime_ms")) + ": ";
  out += whole(number(calls, "in_flight")) + " in flight, " + whole(number(calls, "waiting")) + " waiting, " +
         whole(number(calls, "ok")) + " ok, " + whole(number(calls, "failed")) + " failed, " +
         whole(number(calls, "cancelled")) + " cancelled, retries " + whole(number(calls, "retries")) + "\n\n";
  std::vector<Row> rows = {{}};
  for (const char* name : {"deployment", "model", "state", "in flight", "ok", "failed", "p50", "p99", "ttft"})
    rows[0].push_back({name, Colour::dim, rows[0].size() > 2});
  const cJSON* deployment = nullptr;
  cJSON_ArrayForEach(deployment, at(tree, "deployments")) {
    const cJSON* target = nullptr;
    cJSON_ArrayForEach(target, at(deployment, "targets")) rows.push_back(target_row(deployment, target));
    if (cJSON_GetArraySize(at(deployment, "targets")) == 0)  // It takes every model, and nobody asked for one yet.
      rows.push_back({{text(deployment, "name"), Colour::bold, false}, {"-", Colour::none, false},
                      {"unused", Colour::dim, false}, {"0"}, {"0"}, {"0"}, {"-"}, {"-"}, {"-"}});
  }
  return out + layout(rows, colour);
}

// As many lines as the terminal has, so that the top stays in place.
std::string clipped(const std::string& text) {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2) return text;
  size_t end = 0;
  for (int line = 0; line + 1 < size.ws_row && end < text.size(); line++) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

int stats(const Arguments& arguments) {
  Place place;
  std::string why;
  if (!parse_place(arguments.words()[0], place, why)) {
    print_error(kName, std::string(arguments.words()[0]) + ": " + why);
    return kUsage;
  }
  std::string path = place.path.empty() || place.path == "/" ? "/stats" : place.path;
  bool live = is_terminal(STDOUT_FILENO) && !arguments.has("json") && !arguments.has("once");
  for (;;) {
    std::string body;
    why.clear();
    bool fetched = fetch(place, path, body, why);
    Tree tree(fetched ? cJSON_ParseWithLength(body.data(), body.size()) : nullptr, cJSON_Delete);
    if (fetched && !cJSON_IsArray(at(tree.get(), "deployments"))) why = "the answer is not that of a gateway of lb";
    if (!why.empty() && !live) {
      print_error(kName, why);
      return kFailure;
    }
    std::string shown = arguments.has("json") ? body + "\n"
                        : why.empty()         ? table(tree.get(), wants_colour(STDOUT_FILENO))
                                              : std::string(kName) + ": " + why + "; asking again\n";
    if (live) shown = "\x1b[H\x1b[J" + clipped(shown);
    if (!write_all(STDOUT_FILENO, shown)) return kFailure;
    if (arguments.has("once")) return kOk;
    std::this_thread::sleep_for(std::chrono::duration<double>(arguments.number("interval", 1)));
  }
}

}  // namespace

constinit const Command kStats = {
    "stats",
    "stats URL [OPTIONS]",
    "Watch the deployments of a running gateway.",
    "URL is where a gateway listens: http://127.0.0.1:8080, or unix:/run/lb.sock.\n"
    "On a terminal the table keeps itself up to date until Ctrl-C. Times are of\n"
    "answers that ended well: p50 and p99 of the whole; ttft is the p50 to the\n"
    "first content.\n",
    kOptions,
    1,
    1,
    "whose? Name the address of a gateway: http://127.0.0.1:8080",
    stats,
};

}  // namespace cli
