// Reads one JSON object key by key and complains about the first thing that is wrong: a wrong type, a value out of
// range, and, at the end, a key that nobody asked for. Lives on the stack of options.cc.
#pragma once

#include <cjson/cJSON.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lb::mock {

struct Complaint {
  std::optional<std::string> text;  // The first one stays.
  void say(const std::string& place, const std::string& what) {
    if (!text) text = (place.empty() ? "options" : place) + ": " + what;
  }
};

class Reader {
 public:
  Reader(const cJSON* object, std::string place, Complaint& complaint);

  // Each leaves `out` as it is when the key is absent or wrong.
  void number(const char* key, double* out, double min, double max);
  void number(const char* key, std::optional<double>* out, double min, double max);
  void whole(const char* key, uint32_t* out, uint32_t min, uint32_t max);
  void whole(const char* key, std::optional<uint32_t>* out, uint32_t min, uint32_t max);
  void wholes(const char* key, std::vector<uint32_t>* out, uint32_t min, uint32_t max);  // One, or a list.
  void flag(const char* key, bool* out);
  void text(const char* key, std::string* out);
  // The index of the text among `names`.
  template <typename E, size_t n>
  void choice(const char* key, const char* const (&names)[n], E* out) {
    if (std::optional<size_t> found = index_of(key, names, n)) *out = static_cast<E>(*found);
  }
  const cJSON* object(const char* key);
  const cJSON* list(const char* key);
  bool has(const char* key) const;
  // Asked for, if not read here.
  void allow(const char* key) { known_.push_back(key); }
  void wrong(const char* key, const std::string& what) { complaint_.say(place_ + "/" + key, what); }
  const std::string& place() const { return place_; }
  Complaint& complaint() { return complaint_; }
  // The last call: keys that are left over are errors.
  void finish();

 private:
  const cJSON* take(const char* key);
  std::optional<size_t> index_of(const char* key, const char* const* names, size_t count);

  const cJSON* object_;
  std::string place_;
  Complaint& complaint_;
  std::vector<const char*> known_;
};

}  // namespace lb::mock
