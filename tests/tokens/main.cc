// lb_tokens RANKS ENCODING: what lb counts, for tests/tokens/run. Each line of the input is a JSON object, and gets one
// back: {"text": T} the tokens by ranks and by estimate; {"anthropic": REQUEST} the same of a request; {"time": T} how
// many millions of its bytes are counted by ranks in a second.
#include <chrono>
#include <cstdio>
#include <string>

#include "wire/dialect/count_tokens.h"
#include "wire/dialect/tokens.h"

namespace lb {
namespace {

std::string contents(std::FILE* file) {
  std::string out;
  char block[65536];
  while (size_t got = std::fread(block, 1, sizeof block, file)) out.append(block, got);
  return out;
}

double megabytes_per_second(const Bpe& ranks, const std::string& text) {
  constexpr double kSeconds = 0.5;  // Enough to see past a busy machine.
  uint64_t tokens = 0, bytes = 0;
  auto begin = std::chrono::steady_clock::now();
  for (;;) {
    tokens += ranks.count(text);
    bytes += text.size();
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (tokens > 0 && seconds > kSeconds) return static_cast<double>(bytes) / seconds / 1e6;
  }
}

bool answer(const Bpe& ranks, Raw line) {
  unsigned long long exact = 0, estimate = 0;
  if (line["time"].is_string()) {
    std::printf("%.1f\n", megabytes_per_second(ranks, line["time"].decoded()));
    return true;
  }
  if (line["text"].is_string()) {
    exact = ranks.count(line["text"].decoded());
    estimate = estimate_tokens(line["text"].decoded());
  } else {
    Store store;
    Result<Request> request = read_count_request(Dialect::anthropic, line["anthropic"].text(), store);
    if (!request.ok()) {
      std::fprintf(stderr, "%s: %s\n", request.error().where.c_str(), request.error().message.c_str());
      return false;
    }
    exact = count_tokens(request.value(), &ranks);
    estimate = count_tokens(request.value(), nullptr);
  }
  std::printf("%llu %llu\n", exact, estimate);
  return true;
}

int run(const char* path, std::string_view encoding) {
  std::FILE* file = std::fopen(path, "rb");
  if (!file) return std::fprintf(stderr, "cannot read %s\n", path), 2;
  auto ranks = Bpe::load(contents(file), encoding == "o200k_base" ? Encoding::o200k_base : Encoding::cl100k_base);
  std::fclose(file);
  if (!ranks.ok()) return std::fprintf(stderr, "%s: %s\n", path, ranks.error().message.c_str()), 2;
  std::string input = contents(stdin);
  for (std::string_view rest = input; !rest.empty();) {
    size_t end = rest.find('\n');
    Result<Raw> line = Raw::parse(rest.substr(0, end));
    if (!line.ok()) return std::fprintf(stderr, "%s\n", line.error().message.c_str()), 2;
    if (!answer(*ranks.value(), line.value())) return 2;
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  return 0;
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: lb_tokens RANKS ENCODING < LINES\n"), 2;
  return lb::run(argv[1], argv[2]);
}
