#include "mock/reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lb::mock {

namespace {

std::string show(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string range(double min, double max) { return "a number from " + show(min) + " to " + show(max); }

}  // namespace

Reader::Reader(const cJSON* object, std::string place, Complaint& complaint)
    : object_(object), place_(std::move(place)), complaint_(complaint) {
  if (!cJSON_IsObject(object)) complaint_.say(place_, "must be an object");
}

bool Reader::has(const char* key) const { return cJSON_GetObjectItemCaseSensitive(object_, key) != nullptr; }

const cJSON* Reader::take(const char* key) {
  known_.push_back(key);
  return cJSON_GetObjectItemCaseSensitive(object_, key);
}

void Reader::number(const char* key, double* out, double min, double max) {
  std::optional<double> value;
  number(key, &value, min, max);
  if (value) *out = *value;
}

void Reader::number(const char* key, std::optional<double>* out, double min, double max) {
  const cJSON* item = take(key);
  if (!item) return;
  if (!cJSON_IsNumber(item) || !(item->valuedouble >= min && item->valuedouble <= max))
    return wrong(key, "must be " + range(min, max));
  *out = item->valuedouble;
}

void Reader::whole(const char* key, uint32_t* out, uint32_t min, uint32_t max) {
  std::optional<uint32_t> value;
  whole(key, &value, min, max);
  if (value) *out = *value;
}

void Reader::whole(const char* key, std::optional<uint32_t>* out, uint32_t min, uint32_t max) {
  std::optional<double> value;
  number(key, &value, min, max);
  if (!value) return;
  if (std::floor(*value) != *value) return wrong(key, "must be a whole number");
  *out = static_cast<uint32_t>(*value);
}

void Reader::wholes(const char* key, std::vector<uint32_t>* out, uint32_t min, uint32_t max) {
  const cJSON* item = cJSON_GetObjectItemCaseSensitive(object_, key);
  if (!cJSON_IsArray(item)) {
    std::optional<uint32_t> one;
    whole(key, &one, min, max);
    if (one) *out = {*one};
    return;
  }
  take(key);
  out->clear();
  for (const cJSON* each = item->child; each; each = each->next) {
    const double value = cJSON_IsNumber(each) ? each->valuedouble : -1;
    if (!(value >= min && value <= max) || std::floor(value) != value)
      return wrong(key, "must have whole numbers from " + show(min) + " to " + show(max));
    out->push_back(static_cast<uint32_t>(value));
  }
  if (out->empty()) wrong(key, "must not be empty");
}

void Reader::flag(const char* key, bool* out) {
  const cJSON* item = take(key);
  if (!item) return;
  if (!cJSON_IsBool(item)) return wrong(key, "must be true or false");
  *out = cJSON_IsTrue(item);
}

void Reader::text(const char* key, std::string* out) {
  const cJSON* item = take(key);
  if (!item) return;
  if (!cJSON_IsString(item)) return wrong(key, "must be a text");
  *out = item->valuestring;
}

std::optional<size_t> Reader::index_of(const char* key, const char* const* names, size_t count) {
  const cJSON* item = take(key);
  if (!item) return {};
  std::string all;
  for (size_t i = 0; i < count; i++) {
    if (cJSON_IsString(item) && std::strcmp(item->valuestring, names[i]) == 0) return i;
    all += (i == 0 ? "\"" : ", \"") + std::string(names[i]) + "\"";
  }
  wrong(key, "must be one of " + all);
  return {};
}

const cJSON* Reader::object(const char* key) {
  const cJSON* item = take(key);
  if (item && !cJSON_IsObject(item)) {
    wrong(key, "must be an object");
    return nullptr;
  }
  return item;
}

const cJSON* Reader::list(const char* key) {
  const cJSON* item = take(key);
  if (item && !cJSON_IsArray(item)) {
    wrong(key, "must be a list");
    return nullptr;
  }
  return item;
}

void Reader::finish() {
  if (!cJSON_IsObject(object_)) return;
  for (const cJSON* item = object_->child; item; item = item->next) {
    const auto same = [&](const char* key) { return std::strcmp(key, item->string) == 0; };
    if (std::any_of(known_.begin(), known_.end(), same)) continue;
    std::string all;
    for (const char* key : known_) all += (all.empty() ? "" : ", ") + std::string(key);
    complaint_.say(place_ + "/" + item->string, "is not known; known here: " + all);
  }
}

}  // namespace lb::mock
