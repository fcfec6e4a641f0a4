// Reads chosen values out of JSON as the bytes go by: no tree, no copy of the document, any split of the bytes.
// It checks structure (brackets, commas, strings), not every lexical rule: what it lets through unchanged is for
// the upstream to judge. The body of a string that nobody wants is skipped by memchr.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lb {

enum class JsonType : uint8_t { absent, string, number, boolean, null, object, array };

// What to look for: an immutable set of paths such as "model", "usage.prompt_tokens",
// "choices.*.delta.content" (`*` is any array element). At most 32; built once, shared by scanners.
class ScanPaths {
 public:
  static constexpr size_t kPathsMax = 32;
  explicit ScanPaths(std::span<const std::string_view> paths);
  size_t size() const { return count_; }

 private:
  friend class JsonScan;
  struct Node {
    std::string name;      // "*" matches any element of an array.
    int16_t child = -1;    // First child.
    int16_t sibling = -1;  // Next with the same parent.
    int16_t want = -1;     // Index of the path that ends here.
  };
  std::vector<Node> nodes_;  // nodes_[0] is the root.
  size_t count_ = 0;
};

class JsonScan {
 public:
  static constexpr uint32_t kDepthMax = 512;       // Deeper is a fault.
  static constexpr uint32_t kCaptureMax = 1024;    // Bytes kept of a wanted scalar; longer ones are cut.

  struct Found {
    JsonType type = JsonType::absent;
    uint64_t begin = 0;    // Offset of its first byte in the document (the quote, for a string).
    uint64_t end = 0;      // One past its last byte; 0 until it is complete.
    uint32_t times = 0;    // How often the path was seen; the values are those of the last.
    bool nonempty = false; // Some occurrence is neither null, "", {} nor [] (0 and false count as nonempty).
    bool cut = false;      // `text` is not the whole value.
    std::string text;      // Scalars only: the raw JSON text, quotes included.
  };

  explicit JsonScan(const ScanPaths& paths);
  // Returns false once the document is faulty (then the rest is ignored).
  bool feed(std::string_view bytes);
  // Makes ready for another document with the same paths; keeps its memory.
  void reset();

  bool complete() const;  // The top-level value has ended (only white space may follow).
  bool faulty() const;
  bool is_object() const;  // The top-level value is an object.
  uint64_t offset() const { return offset_; }
  const Found& operator[](size_t path) const { return found_[path]; }

  // The captured string without quotes and with escapes decoded; "" when it is absent or not a string.
  std::string string(size_t path) const;
  // A captured non-negative integer; false when absent, null, not an integer, or out of range.
  bool integer(size_t path, uint64_t& out) const;
  bool is_true(size_t path) const { return found_[path].type == JsonType::boolean && found_[path].text == "true"; }

 private:
  const ScanPaths* paths_;
  std::vector<Found> found_;
  uint64_t offset_ = 0;
  // The author of scan.cc adds the state of the machine here.
};

// `text` as a JSON string, with quotes.
std::string json_quote(std::string_view text);

}  // namespace lb
