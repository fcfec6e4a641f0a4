// From one dialect to another and back nothing is lost that both can hold; and what one cannot is never lost in
// silence.
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "property/wire/dialect_dump.h"
#include "property/wire/dialect_made.h"
#include "wire/dialect/translate.h"

extern "C" {
#include <cmocka.h>  // Last: its macros (fail) break the standard headers.
}

namespace {

using namespace lb;

uint64_t seed = 1;
constexpr Dialect kDialects[] = {Dialect::openai, Dialect::responses, Dialect::anthropic, Dialect::gemini};
constexpr const char* kNames[] = {"openai", "responses", "anthropic", "gemini"};
constexpr uint64_t kRuns = 400;  // Of each pair.

const char* name(Dialect dialect) { return kNames[static_cast<size_t>(dialect)]; }

template <typename Law>
void each_pair(Law law) {
  for (Dialect a : kDialects)
    for (Dialect b : kDialects)
      for (uint64_t run = 0; a != b && run < kRuns; run++) {
        Rng rng = Rng(seed * 1'000'000 + run).split(name(a)).split(name(b));
        law(a, b, rng, run);
      }
}

void must_be_same(Dialect a, Dialect b, uint64_t run, const std::string& is, const std::string& should,
                  const std::string& text) {
  if (is == should) return;
  // Not by print_error, which cuts.
  std::fprintf(stderr, "%s -> %s -> back, run %llu:\n%s\nis:\n%s\nshould be:\n%s\n", name(a), name(b),
               static_cast<unsigned long long>(run), text.c_str(), is.c_str(), should.c_str());
  assert_true(is == should);
}

// OpenAI wants names for files, so that there is one where none was given.
std::string without_file_names(const std::string& losses) {
  std::string out;
  for (std::string_view rest = losses; !rest.empty();) {
    std::string_view one = split_off(rest, ',');
    if (!one.ends_with(".filename")) out.append(one);
  }
  return out;
}

// As `to` has it, and read again. What is lost on the way is added to `losses`.
Request carried(const Request& request, Dialect to, Store& store, std::string& losses, std::string& body) {
  Result<WrittenRequest> written = write_request(to, request, {.model = "m"}, store);
  if (!written.ok()) {
    losses += "refused: " + written.error().where + ": " + written.error().message;
    return request;
  }
  losses += without_file_names(written.value().losses.text());
  body = store.keep(written.value().body);
  Result<Request> back = read_request(to, store.keep(written.value().body), store);
  if (!back.ok()) print_error("%s: %s: %s\n", name(to), back.error().where.c_str(), body.c_str());
  assert_true(back.ok());
  return back.value();
}

void requests_come_back(void**) {
  each_pair([](Dialect a, Dialect b, Rng& rng, uint64_t run) {
    Store store;
    Request made = Making(rng, both(holds(a), holds(b)), store).request();
    made.dialect = a;
    std::string ignored, losses, body;
    Request first = carried(made, a, store, ignored, body);
    Request there = carried(first, b, store, losses, body);
    Request back = carried(there, a, store, losses, ignored);
    must_be_same(a, b, run, losses, "", body);
    must_be_same(a, b, run, dump(back), dump(first), body);
  });
}

// Whatever A can hold: what does not come back has been named.
void no_loss_is_silent(void**) {
  each_pair([](Dialect a, Dialect b, Rng& rng, uint64_t run) {
    Store store;
    Request made = Making(rng, holds(a), store).request();
    made.dialect = a;
    std::string ignored, losses, body;
    Request first = carried(made, a, store, ignored, body);
    Request there = carried(first, b, store, losses, body);
    Request back = carried(there, a, store, losses, ignored);
    if (losses.empty()) must_be_same(a, b, run, dump(back), dump(first), body);
  });
}

void answers_come_back(void**) {
  each_pair([](Dialect a, Dialect b, Rng& rng, uint64_t run) {
    Store store;
    Reply made = Making(rng, both(holds(a), holds(b)), store).reply();
    Losses losses;
    auto through = [&](const Reply& reply, Dialect to) {
      std::string body = write_answer(to, reply, {.model = "m", .id = "1", .created = 1}, losses);
      Result<Reply> read = read_answer(to, store.keep(body), store);
      if (!read.ok()) print_error("%s: %s\n", read.error().message.c_str(), body.c_str());
      assert_true(read.ok());
      return read.value();
    };
    Reply first = through(made, a);
    losses = {};
    Reply back = through(through(first, b), a);
    must_be_same(a, b, run, losses.text(), "", "");
    must_be_same(a, b, run, dump(back), dump(first), "");
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) seed = std::strtoull(argv[1], nullptr, 10);
  const CMUnitTest tests[] = {
      cmocka_unit_test(requests_come_back),
      cmocka_unit_test(no_loss_is_silent),
      cmocka_unit_test(answers_come_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
