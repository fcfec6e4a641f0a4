#include "log_line.h"

#include <cjson/cJSON.h>
#include <cstdlib>
#include <ctime>

#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kNames[] = {"none", "error", "warn", "info", "debug"};
constexpr Colour kColours[] = {Colour::none, Colour::red, Colour::yellow, Colour::green, Colour::dim};

struct Stamp {
  char date[16];  // "2026-11-21"
  char clock[16];  // "07:15:51.123"
};

Stamp stamp(bool local) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  if (local)
    localtime_r(&now.tv_sec, &parts);
  else
    gmtime_r(&now.tv_sec, &parts);
  Stamp out{};
  strftime(out.date, sizeof(out.date), "%Y-%m-%d", &parts);
  size_t n = strftime(out.clock, sizeof(out.clock), "%H:%M:%S", &parts);
  unsigned ms = static_cast<unsigned>(now.tv_nsec / 1'000'000);
  out.clock[n] = '.';
  out.clock[n + 1] = static_cast<char>('0' + ms / 100);
  out.clock[n + 2] = static_cast<char>('0' + ms / 10 % 10);
  out.clock[n + 3] = static_cast<char>('0' + ms % 10);
  return out;
}

std::string value_text(const cJSON* value) {
  if (cJSON_IsString(value)) {
    std::string_view text = value->valuestring;
    bool plain = !text.empty() && text.find_first_of(" \"=\n\t") == text.npos;
    return harmless(plain ? std::string(text) : json_quote(text));
  }
  char* printed = cJSON_PrintUnformatted(value);
  std::string out = printed ? printed : "";
  cJSON_free(printed);
  return out;
}

}  // namespace

Level level_of(std::string_view word) {
  for (uint32_t i = 1; i < 5; i++)
    if (kNames[i] == word) return static_cast<Level>(i);
  return Level::none;
}

std::string json_quote(std::string_view text) {
  cJSON* value = cJSON_CreateString(std::string(text).c_str());
  char* printed = cJSON_PrintUnformatted(value);
  std::string out = printed ? printed : "\"\"";
  cJSON_free(printed);
  cJSON_Delete(value);
  return out;
}

void Log::write(Level level, std::string_view message, std::string_view fields) {
  std::string object = "{\"level\":\"";
  object.append(kNames[static_cast<size_t>(level)]).append("\",\"msg\":").append(json_quote(message));
  if (!fields.empty()) object.append(",").append(fields);
  line(level, object + "}");
}

void Log::line(Level level, std::string_view object) {
  if (level > level_ || level == Level::none || object.size() < 2 || object[0] != '{') return;
  std::string out;
  if (people_) {
    out = for_people(level, std::string(object));
  } else {
    Stamp now = stamp(false);
    out.append("{\"time\":\"").append(now.date).append("T").append(now.clock).append("Z\",").append(object.substr(1));
  }
  write_all(fd_, out + "\n");
}

std::string Log::for_people(Level level, const std::string& object) const {
  std::string word(kNames[static_cast<size_t>(level)]);
  word.resize(6, ' ');
  std::string out = paint(colour_, Colour::dim, stamp(true).clock) + " " +
                    paint(colour_, kColours[static_cast<size_t>(level)], word);
  cJSON* tree = cJSON_ParseWithLength(object.data(), object.size());
  if (!tree) return out + harmless(object);
  const char* message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "msg"));
  out += harmless(message ? message : "");
  for (const cJSON* item = tree->child; item; item = item->next) {
    std::string_view name = item->string ? item->string : "";
    if (name == "level" || name == "msg" || name == "time") continue;
    out.append("  ").append(paint(colour_, Colour::dim, std::string(name) + "=")).append(value_text(item));
  }
  cJSON_Delete(tree);
  return out;
}

}  // namespace cli
