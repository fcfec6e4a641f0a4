// Reads chosen values out of JSON as the bytes go by: no tree, no copy of the document, any split of the bytes.
// It checks structure (brackets, commas, strings), not every lexical rule: what it lets through unchanged is for
// the upstream to judge. The bodies of strings are gone through at the speed of memory: see quote.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace lb {

enum class JsonType : uint8_t { absent, string, number, boolean, null, object, array };

// A path whose values a ScanListener is told of, under a number of its choice: several paths may share one.
struct HeardPath {
  std::string_view path;
  int16_t as;
};

// What to look for: an immutable set of paths such as "model", "usage.prompt_tokens",
// "choices.*.delta.content" (`*` is any array element). Built by the compiler from literals, shared by scanners.
class ScanPaths {
 public:
  static constexpr size_t kPathsMax = 32;
  static constexpr size_t kNodesMax = 128;  // Names in all paths together, those that are shared counted once.
  static constexpr size_t kNameMax = 40;   // Bytes of a name; longer keys in a document match nothing.

  template <size_t N>
  explicit constexpr ScanPaths(const std::string_view (&paths)[N]) : count_(N) {
    static_assert(N <= kPathsMax);
    for (size_t i = 0; i < N; i++) node_of(paths[i]).want = static_cast<int16_t>(i);
  }
  template <size_t N>
  constexpr ScanPaths(const std::string_view (&paths)[N], std::span<const HeardPath> heard) : ScanPaths(paths) {
    for (const HeardPath& each : heard) node_of(each.path).heard = each.as;
  }
  constexpr size_t size() const { return count_; }

  // The node below `node` that is called `name`; -1 if there is none, also below -1.
  constexpr int16_t child(int16_t node, std::string_view name) const {
    if (node < 0) return -1;
    const Node& parent = nodes_[static_cast<size_t>(node)];
    int16_t at = parent.children[slot_of(name)];
    while (at >= 0 && nodes_[static_cast<size_t>(at)].name != name) at = nodes_[static_cast<size_t>(at)].sibling;
    return at;
  }
  // The node of the elements of an array at `node`; -1 as above. A member called "*" is not meant.
  constexpr int16_t element(int16_t node) const { return node < 0 ? node : nodes_[static_cast<size_t>(node)].element; }
  // Index of the path that ends at `node`; -1 if none does.
  constexpr int16_t want(int16_t node) const { return node < 0 ? node : nodes_[static_cast<size_t>(node)].want; }
  // Under which number the value at `node` is told of; -1 if it is not.
  constexpr int16_t heard(int16_t node) const { return node < 0 ? node : nodes_[static_cast<size_t>(node)].heard; }

 private:
  static constexpr size_t kSlots = 8;
  struct Node {
    std::string_view name;
    int16_t sibling = -1;  // Next with the same parent, in the same slot.
    int16_t element = -1;  // The child `*`.
    int16_t want = -1;
    int16_t heard = -1;
    // First children, by the slots of their names: most keys of a document are none of them.
    std::array<int16_t, kSlots> children{-1, -1, -1, -1, -1, -1, -1, -1};
  };

  static constexpr size_t slot_of(std::string_view name) {
    if (name.empty()) return 0;
    return (name.size() + static_cast<unsigned char>(name.front()) + static_cast<unsigned char>(name.back())) % kSlots;
  }

  constexpr Node& node_of(std::string_view path) {
    int16_t at = 0;
    while (!path.empty()) {
      size_t dot = path.find('.');
      std::string_view name = path.substr(0, dot);
      path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
      LB_CHECK(name.size() <= kNameMax);
      bool star = name == "*";
      int16_t next = star ? element(at) : child(at, name);
      if (next < 0) {
        LB_CHECK(used_ < kNodesMax);
        next = static_cast<int16_t>(used_++);
        Node& parent = nodes_[static_cast<size_t>(at)];
        int16_t& first = star ? parent.element : parent.children[slot_of(name)];
        nodes_[static_cast<size_t>(next)].name = name;
        nodes_[static_cast<size_t>(next)].sibling = first;  // Of an element: none, it is the only one.
        first = next;
      }
      at = next;
    }
    return nodes_[static_cast<size_t>(at)];
  }

  std::array<Node, kNodesMax> nodes_{};  // nodes_[0] is the root.
  size_t used_ = 1;
  size_t count_ = 0;
};

// Is told of values while they go by, in the order in which they stand in the document: what is too long to be
// captured, or counts by each of its occurrences. Calls for containers enclose those for what is in them.
class ScanListener {
 public:
  // `false`: its bytes are not wanted, and cost no more than those of any other value.
  virtual bool begin(int16_t as, JsonType type) = 0;
  // The bytes as they stand, in pieces of any size: of a string those between the quotes, of a container all of them.
  // `false`: no more of them. Of containers in one another, the bytes of the outermost that wants them.
  virtual bool bytes(int16_t as, std::string_view raw) = 0;
  virtual void end(int16_t as) = 0;  // Of strings and containers; other scalars only begin.

 protected:
  ~ScanListener() = default;
};

class JsonScan {
 public:
  static constexpr uint32_t kDepthMax = 512;       // Deeper is a fault.
  static constexpr uint16_t kCaptureMax = 1024;    // Bytes kept of a wanted scalar; longer ones are cut.
  // Texts that are kept before those that are no path's any more are dropped: twice what all paths can have.
  static constexpr size_t kTextsMax = 2 * ScanPaths::kPathsMax * kCaptureMax;

  struct Found {
    uint64_t begin = 0;    // Offset of its first byte in the document (the quote, for a string).
    uint64_t end = 0;      // One past its last byte; 0 until it is complete.
    uint32_t times = 0;    // How often the path was seen; the values are those of the last.
    uint32_t text_at = 0;  // Where text() is in `texts_`, ...
    uint16_t text_size = 0;
    JsonType type = JsonType::absent;
    bool nonempty = false; // Some occurrence is neither null, "", {} nor [] (0 and false count as nonempty).
    bool spoken = false;   // Some occurrence, which has ended, is a string, object or array that is not empty.
    bool cut = false;      // ... and whether it is less than the whole value.
  };

  explicit JsonScan(const ScanPaths& paths);
  // Returns false once the document is faulty (then the rest is ignored, and offset() is behind the byte at fault).
  // `listener` is told of the paths that are to be heard; it must be the same one for all of a document.
  bool feed(std::string_view bytes, ScanListener* listener = nullptr);
  // Makes ready for another document with the same paths; keeps its memory.
  void reset();

  // The top-level value has ended (only white space may follow). A bare number or literal ends by what follows it.
  bool complete() const;
  bool ended() const { return expect_ == Expect::nothing; }  // The same, whatever follows.
  bool faulty() const;
  bool is_object() const;  // The top-level value is an object.
  uint64_t offset() const { return offset_; }
  const Found& operator[](size_t path) const { return found_[path]; }
  // Scalars only: the raw JSON text, quotes included. Until the next feed().
  std::string_view text(size_t path) const {
    return std::string_view(texts_).substr(found_[path].text_at, found_[path].text_size);
  }

  size_t texts_bytes() const { return texts_.size(); }  // At most kTextsMax and one text.

  // The captured string without quotes and with escapes decoded; "" when it is absent or not a string.
  std::string string(size_t path) const;
  // A captured non-negative integer; false when absent, null, not an integer, or out of range.
  bool integer(size_t path, uint64_t& out) const;
  bool is_true(size_t path) const { return found_[path].type == JsonType::boolean && text(path) == "true"; }

 private:
  enum class Expect : uint8_t { value, value_or_end, key, key_or_end, colon, comma_or_end, nothing };
  enum class Token : uint8_t { none, key, string, scalar };
  struct Frame {
    bool object = false;
    int16_t node = -1;     // Of the container in the paths; -1: nothing within is wanted.
    int16_t want = -1;
    bool nonempty = false;
  };

  size_t read_string(std::string_view bytes, size_t at);
  size_t read_scalar(std::string_view bytes, size_t at);
  size_t read_mark(std::string_view bytes, size_t at);
  size_t read_member(std::string_view bytes, size_t at);
  size_t begin_value(std::string_view bytes, size_t at);
  int16_t node_called(int16_t node, std::string_view raw) const;
  void end_key(std::string_view last_part);
  void begin_heard(int16_t heard, JsonType type, size_t at);
  void hear_string(std::string_view part);
  void hear_container(std::string_view bytes);
  void end_container(std::string_view bytes, size_t at);
  void end_value(uint64_t end, bool nonempty);
  void capture(std::string_view bytes) {
    if (want_ >= 0) capture_wanted(bytes);
  }
  void capture_wanted(std::string_view bytes);
  void compact_texts();

  const ScanPaths* paths_;
  std::array<Found, ScanPaths::kPathsMax> found_{};
  std::string texts_;         // What was captured, one behind the other; what was captured before it is among them.
  uint64_t offset_ = 0;
  std::vector<Frame> frames_;
  Expect expect_ = Expect::value;
  Token token_ = Token::none;
  bool escape_ = false;       // Within a string: the next byte is escaped.
  bool faulty_ = false;
  bool is_object_ = false;
  bool string_nonempty_ = false;
  char scalar_first_ = 0;
  int16_t key_node_ = -1;     // What the last key leads to.
  int16_t want_ = -1;         // Path of the scalar that is being read.
  int16_t heard_ = -1;        // Number of the string that is being read, or of the container that has just ended.
  int16_t raw_ = -1;          // Number of the container whose bytes are wanted; -1: none.
  bool hears_string_ = false; // The bytes of the string that is being read are wanted.
  size_t raw_depth_ = 0;      // Frames around that container.
  size_t raw_from_ = 0;       // From where in the bytes at hand it has not been heard.
  ScanListener* listener_ = nullptr;  // During feed().
  uint32_t touched_ = 0;      // Paths seen in this document, by bit: those that reset() has to clear.
  std::string key_;           // Raw: the part of a key that came with earlier bytes, while it may match.
};

}  // namespace lb
