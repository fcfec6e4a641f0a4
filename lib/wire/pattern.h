// A regular expression, in the syntax of PCRE2 (Perl's), that is asked whether a text matches somewhere. Compiled once,
// never changed; any thread may match. What it is asked about came from a model or a stranger, so each match has an
// allowance that grows with the length of the text and no faster: an expression that backtracks without end says "no
// match" instead of stopping the thread. PCRE2's own limits hold for one starting point each, not for the whole text;
// they stand behind that as a second guard. UTF-8: "." is a character, and bytes that are not UTF-8 match nothing.
// PCRE2 stands behind it, in pattern.cc only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace lb {

class Pattern {
 public:
  // PCRE2 compiles to 64 KiB at most (pcre2limits(3)), which is eight bytes a character, with what counts the steps.
  static constexpr size_t kTextMax = 4 * 1024;
  // The allowance of a match, in parts of the expression tried. Measured with PCRE2 10.42: 10 to 30 ns each, so a text
  // of 64 KiB takes 30 ms at worst, where PCRE2's limits let it take 18 s; plain expressions need about one a byte.
  static constexpr uint64_t kStepsMin = 1'000'000;
  static constexpr uint64_t kStepsPerByte = 8;
  // From one starting point; a tenth of PCRE2's default (pcre2build(3), --with-match-limit).
  static constexpr uint32_t kMatchLimit = 1'000'000;
  // How deep that may nest: as above (--with-match-limit-depth); memory ends it first.
  static constexpr uint32_t kDepthLimit = 1'000'000;
  // Of one match, where PCRE2 allows 20 GB (--with-heap-limit). "^(.|\n)*$" takes more than half of it for 64 KiB.
  static constexpr uint32_t kHeapLimitKib = 32 * 1024;

  // An error says what is wrong and at which byte of the text.
  static Result<Pattern> compile(std::string_view text);

  Pattern(Pattern&& other) noexcept;
  Pattern& operator=(Pattern&& other) noexcept;
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  ~Pattern();

  // Somewhere in `subject`; false too where a limit was hit.
  bool matches(std::string_view subject) const;

 private:
  explicit Pattern(void* code) : code_(code) {}
  void* code_ = nullptr;
};

// Cuts texts into pieces, one match beside the other, by an expression of lb's own: it matches everywhere, takes time
// that grows with the length of the piece and no faster, and knows Unicode's classes (\p{L}, \s). So there are no
// limits here. Never changed; each thread has its own Cut.
class Cutter {
 public:
  explicit Cutter(std::string_view expression);  // Ends the process if it is none.
  Cutter(const Cutter&) = delete;
  Cutter& operator=(const Cutter&) = delete;
  ~Cutter();

  class Cut {
   public:
    explicit Cut(const Cutter& cutter);
    Cut(const Cut&) = delete;
    Cut& operator=(const Cut&) = delete;
    ~Cut();
    // Size of the piece that begins at `at`, which is a character's first byte. `text` is UTF-8.
    size_t size_at(std::string_view text, size_t at);

   private:
    const Cutter& cutter_;
    void* match_;
    void* limits_;
  };

 private:
  void* code_;
};

}  // namespace lb
