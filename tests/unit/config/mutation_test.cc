// Documents that nobody would write: no input may crash the reader, and each is either taken or refused with words.
// Seeded, so that a failure is found again.
#include "base/rng.h"
#include "fixture.h"
#include "vectors.h"

namespace lb {
namespace {

std::string folder;  // Of the vectors.

void check(const std::string& text, uint64_t seed) {
  auto config = parse_config(text, nullptr, SecretUse::check);
  if (config.ok()) {
    for (const Route& route : config.value()->routes) {
      if (route.tiers.empty()) fail_msg("seed %zu: a route without tiers", size_t{seed});
      for (const auto& tier : route.tiers)
        if (tier.empty()) fail_msg("seed %zu: an empty tier", size_t{seed});
    }
  } else if (config.error().message.empty() || config.error().status != Status::CONFIG) {
    fail_msg("seed %zu: no words", size_t{seed});
  }
}

// Bytes that mean something in either format, drawn more often than the rest.
constexpr std::string_view kMarks = "{}[]:,\"'\\#&*!|>-?%@`~ \n\t\r0aZ";

char any_byte(Rng& rng) {
  if (rng.below(4)) return kMarks[rng.below(kMarks.size())];
  return static_cast<char>(rng.below(256));
}

void random_bytes(void**) {
  for (uint64_t seed = 1; seed <= 5000; seed++) {
    Rng rng(seed);
    std::string text(rng.below(64), '\0');
    for (char& c : text) c = any_byte(rng);
    check(text, seed);
    check('{' + text, seed);
  }
}

void mutate(std::string& text, Rng& rng) {
  size_t at = rng.below(text.size()), count = 1 + rng.below(8);
  switch (rng.below(5)) {
    case 0: text[at] = any_byte(rng); break;
    case 1: text.erase(at, count); break;
    case 2: text.insert(at, 1, any_byte(rng)); break;
    case 3: text.insert(rng.below(text.size()), std::string(text, at, count * 8)); break;
    case 4: text.resize(at); break;
  }
  if (text.empty()) text = "a";
}

void mutations(const std::string& origin, uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    Rng rng(seed);
    std::string text = origin.empty() ? "a" : origin;
    for (uint64_t left = 1 + rng.below(4); left > 0; left--) mutate(text, rng);
    check(text, seed);
  }
}

void mutated_yaml(void**) { mutations(contents(folder + "/sample.yaml"), 3000); }

void mutated_json(void**) {
  mutations(R"({"listen": [{"address": "127.0.0.1:0"}], "deployments": [{"name": "a", "url": "https://h:1/v1",
    "key": {"env": "K"}, "headers": {"x": "y\u00fc"}, "models": {"m": {"as": "n", "rpm": 1e2}, "o": null},
    "weight": 0.5},
    {"name": "b", "kind": "echo", "models": ["m"]}], "routes": [{"model": "m", "tiers": [["a"], ["b"]]}],
    "limits": {"waiting": 1}})", 3000);
}

void mutated_vectors(void**) {
  for (const Case& one : cases_of(contents(folder + "/errors.case"))) mutations(one.document, 50);
}

void every_cut(void**) {
  std::string text = contents(folder + "/sample.yaml");
  for (size_t size = 0; size < text.size(); size++) check(text.substr(0, size), size);
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  lb::folder = argv[1];
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::random_bytes),
      cmocka_unit_test(lb::mutated_yaml),
      cmocka_unit_test(lb::mutated_json),
      cmocka_unit_test(lb::mutated_vectors),
      cmocka_unit_test(lb::every_cut),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
