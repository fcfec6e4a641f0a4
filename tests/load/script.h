// What stream number `id` says: texts that both ends can make, so that what arrives is compared byte by byte and not
// only counted. Shared by the upstream, the host and the clients of the load test; pure.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace load {

inline constexpr char kModel[] = "load-model";

// SplitMix64's finaliser: neighbouring numbers come out unlike each other.
inline uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// FNV-1a, 64 bits.
inline uint64_t hash_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// The data of event `k` of a stream with `events` pieces of text: those, a finish reason with usage, and [DONE].
inline std::string data_of(uint64_t id, uint32_t k, uint32_t events) {
  if (k > events) return "[DONE]";
  char number[24];
  std::snprintf(number, sizeof number, "%llu", static_cast<unsigned long long>(id));
  std::string out = "{\"id\":\"load-";
  out.append(number).append("\",\"object\":\"chat.completion.chunk\",\"model\":\"").append(kModel);
  if (k == events) {
    std::snprintf(number, sizeof number, "%u", events);
    return out.append("\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
                      "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":").append(number).append("}}");
  }
  // Words of a token or two, as models send them: 2 to 17 letters.
  uint64_t chance = mix(id << 20 | k);
  std::string word;
  for (uint64_t size = 2 + chance % 16; size > 0; size--, chance = mix(chance))
    word += static_cast<char>('a' + chance % 26);
  return out.append("\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" ").append(word).append("\"}}]}");
}

inline std::string event_of(uint64_t id, uint32_t k, uint32_t events) {
  return "data: " + data_of(id, k, events) + "\n\n";
}

// What one side has seen of all streams together.
struct Tally {
  uint64_t events = 0;
  uint64_t bytes = 0;
  uint64_t sum = 0;  // Of the hashes of all events: whatever their order.

  void add(std::string_view data) {
    events++;
    bytes += data.size();
    sum += hash_of(data);
  }
};

// How far a stream has come that arrives at its reader, as raw bytes in any split or as the data of events.
struct Progress {
  uint32_t next = 0;    // Event.
  uint32_t offset = 0;  // Bytes of it that have come.

  // False: this is not what the stream says.
  bool take_bytes(uint64_t id, uint32_t events, std::string_view bytes, Tally& tally) {
    while (!bytes.empty()) {
      if (next > events + 1) return false;
      std::string text = event_of(id, next, events);
      std::string_view rest = std::string_view(text).substr(offset);
      std::string_view part = bytes.substr(0, rest.size());
      if (rest.substr(0, part.size()) != part) return false;
      bytes.remove_prefix(part.size());
      offset += static_cast<uint32_t>(part.size());
      if (offset == text.size()) {
        tally.add(std::string_view(text).substr(6, text.size() - 8));
        next++;
        offset = 0;
      }
    }
    return true;
  }
  bool take_data(uint64_t id, uint32_t events, std::string_view data, Tally& tally) {
    if (next > events || data_of(id, next, events) != data) return false;
    tally.add(data);
    next++;
    return true;
  }
};

// The body of the request for stream `id`. 900 bytes: a short question with a system prompt.
inline std::string request_body(uint64_t id) {
  std::string body = "{\"model\":\"" + std::string(kModel) + "\",\"stream\":true,\"user\":\"load-";
  body += std::to_string(id) + "\",\"messages\":[{\"role\":\"system\",\"content\":\"";
  for (int i = 0; i < 10; i++) body += "You answer in one short paragraph, and you never guess. ";
  body += "\"},{\"role\":\"user\",\"content\":\"";
  for (int i = 0; i < 5; i++) body += "What did the last one say about it? ";
  return body + "\"}]}";
}

// Which stream a request asks for; 0 if none. Streams count from 1.
inline uint64_t id_of(std::string_view body) {
  constexpr std::string_view kMark = "\"user\":\"load-";
  size_t at = body.find(kMark);
  if (at == body.npos) return 0;
  uint64_t id = 0;
  for (at += kMark.size(); at < body.size() && body[at] >= '0' && body[at] <= '9'; at++)
    id = id * 10 + static_cast<uint64_t>(body[at] - '0');
  return id;
}

}  // namespace load
