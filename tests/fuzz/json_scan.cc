// The JSON scanner: any cuts give the same values, heard in the same order; a naive reader of whole documents takes and
// refuses the same, and finds the same values in the same places; and whatever cJSON takes, the scanner takes too, with
// `model` where cJSON has it. Also: what JsonDocument prints reads back as the same.
#include "wire/scan.h"

#include <cstring>
#include <map>

#include "fuzz/fuzz.h"
#include "unit/wire/naive.h"
#include "wire/escape.h"
#include "wire/json.h"
#include "wire/openai.h"

namespace lb::fuzz {
namespace {

constexpr std::string_view kNames[] = {"model", "a", "a.b", "a.*", "a.*.b", "*", "*.*", "*.a", "stream"};
constexpr HeardPath kHeard[] = {{"a", 0}, {"a.*.b", 1}, {"*.*", 2}, {"heard", 3}, {"heard.*", 4}, {"model", 5}};
constexpr ScanPaths kPaths(kNames, kHeard);

// Hears all, and keeps the bytes of each value; containers within one that is heard whole are not told again.
struct Hearer : ScanListener {
  explicit Hearer(std::string& out) : log(out) {}
  bool begin(int16_t as, JsonType type) override {
    log += "(" + std::to_string(as) + " " + std::to_string(static_cast<int>(type)) + ")";
    return as != 4;
  }
  bool bytes(int16_t as, std::string_view raw) override {
    require(as != 4 && !raw.empty(), "bytes that nobody wants");
    log += raw;
    return true;
  }
  void end(int16_t as) override { log += "(" + std::to_string(as) + " end)"; }
  std::string& log;
};

std::string found_text(const JsonScan& scan) {
  std::string out = std::string(scan.faulty() ? "faulty " : "") + (scan.complete() ? "complete " : "") +
                    (scan.is_object() ? "object " : "") + std::to_string(scan.offset()) + "\n";
  for (size_t i = 0; i < std::size(kNames); i++) {
    const JsonScan::Found& found = scan[i];
    uint64_t number = 0;
    bool integer = scan.integer(i, number);
    out += text_of(kNames[i]) + " " + std::to_string(static_cast<int>(found.type)) + " " +
           std::to_string(found.begin) + "-" + std::to_string(found.end) + " x" + std::to_string(found.times) +
           (found.nonempty ? " nonempty" : "") + (found.cut ? " cut" : "") + " [" + text_of(scan.text(i)) + "] [" +
           scan.string(i) + "]" + (integer ? " " + std::to_string(number) : "") + "\n";
    require(scan.text(i).size() <= JsonScan::kCaptureMax, "more was kept than is allowed");
  }
  return out;
}

// A hearer hears strings within a container as its bytes too, in an order that depends on the cuts: so only the
// hearing of values that are not within one another is compared byte by byte.
std::string scanned(std::string_view text, const Cuts& cuts) {
  JsonScan scan(kPaths);
  std::string heard;
  Hearer hearer(heard);
  each_part(text, cuts, [&](std::string_view part) {
    bool fine = scan.feed(part, &hearer);
    require(fine == !scan.faulty(), "feed and faulty disagree");
  });
  std::string first = found_text(scan);
  scan.reset();
  scan.feed("{\"a\":1}");
  require(scan[1].times == 1 && scan[0].times == 0 && scan.complete(), "reset leaves something behind");
  return first;
}

std::string request_text(std::string_view text, const Cuts& cuts) {
  OpenAiRequest request;
  each_part(text, cuts, [&](std::string_view part) { request.feed(part); });
  std::string out = request.has_model() ? "model " + request.model() + " " : "";
  out += std::to_string(request.model_begin()) + "-" + std::to_string(request.model_end());
  for (uint64_t number : {uint64_t{request.model_repeated()}, uint64_t{request.stream()}, request.output_tokens_max(),
                          request.text_characters(), uint64_t{request.images()}, request.prefix_hash(),
                          request.choices(), request.scan().offset(), uint64_t{request.scan().faulty()}})
    out += " " + std::to_string(number);
  require(request.text_characters() <= text.size() + text.size() * Prompt::kTokenCharacters,
          "more characters than there are bytes");
  return out + " [" + request.prompt_cache_key() + "] [" + request.user() + "]";
}

size_t depth_of(std::string_view text) {
  size_t depth = 0, most = 0;
  for (char c : text) {
    if (c == '{' || c == '[') most = std::max(most, ++depth);
    if ((c == '}' || c == ']') && depth > 0) depth--;
  }
  return most;
}

char type_mark(JsonType type) {
  switch (type) {
    case JsonType::absent:
    case JsonType::number:
      return 0;
    case JsonType::string:
      return '"';
    case JsonType::boolean:
      return 't';
    case JsonType::null:
      return 'n';
    case JsonType::object:
      return '{';
    case JsonType::array:
      return '[';
  }
  return 0;
}

void check_naively(const std::string& text) {
  // The naive one recurses, and knows no limit; neither counts brackets in strings as depth, but this does.
  if (depth_of(text) > 100) return;
  naive::Reader reader(text);
  bool fine = reader.document();
  JsonScan scan(kPaths);
  scan.feed(text);
  require((scan.complete() && !scan.faulty()) == fine, fine ? "the scanner refuses what is well-formed"
                                                            : "the scanner takes what is not well-formed");
  if (!fine) return;
  for (size_t i = 0; i < std::size(kNames); i++) {
    const naive::Seen& seen = reader.seen[text_of(kNames[i])];
    const JsonScan::Found& found = scan[i];
    require(found.times == seen.times, "a path is seen another number of times");
    if (seen.times == 0) continue;
    char mark = seen.type == 'f' ? 't' : seen.type;
    require(found.begin == seen.begin && found.end == seen.end && type_mark(found.type) == mark &&
                found.nonempty == seen.nonempty,
            "a value lies elsewhere");
    require_same(text_of(scan.text(i)), seen.text.substr(0, JsonScan::kCaptureMax), "the text of a value");
  }
}

// cJSON takes any control character for white space, and skips a byte order mark.
bool plain_space(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && !std::strchr("\t\r\n", c)) return false;
  return !text.starts_with("\xef\xbb\xbf") && text.find('\0') == text.npos;
}

void check_with_cjson(const std::string& text) {
  Result<JsonDocument> parsed = JsonDocument::parse(text);
  if (!parsed.ok()) return require(!parsed.error().message.empty(), "an error without words");
  std::string printed = parsed.value().root().print();
  Result<JsonDocument> again = JsonDocument::parse(printed);
  require(again.ok(), "what was printed is not JSON: " + printed);
  require_same(again.value().root().print(), printed, "what was printed reads otherwise");
  if (!plain_space(text)) return;
  OpenAiRequest request;
  request.feed(text + " ");
  require(!request.scan().faulty() && request.scan().complete(), "the scanner refuses what cJSON takes");
  require(request.scan().is_object() == parsed.value().root().is_object(), "is it an object?");
  JsonView model = parsed.value().root()["model"];
  require(request.has_model() == model.present(), "is there a model?");
  if (!model.present()) return;
  require(!request.model_repeated(), "cJSON sees one model, the scanner several");
  std::string value = text.substr(request.model_begin(), request.model_end() - request.model_begin());
  Result<JsonDocument> alone = JsonDocument::parse(value);
  require(alone.ok(), "the model is not JSON by itself: " + value);
  require_same(alone.value().root().print(), model.print(), "the model that cJSON sees");
  if (model.is_string() && value.size() <= JsonScan::kCaptureMax)
    require_same(json_quote(request.model()), json_quote(model.string()), "the name of the model");
}

}  // namespace
}  // namespace lb::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  Choices again = input.choices;
  same_at_any_cut(input.text, input.choices, [&](const lb::Cuts& cuts) { return scanned(input.text, cuts); });
  same_at_any_cut(input.text, again, [&](const lb::Cuts& cuts) { return request_text(input.text, cuts); });
  std::string text(input.text);
  check_naively(text + "\n");
  check_with_cjson(text);
  return 0;
}
