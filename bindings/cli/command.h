// The commands of `lb`: their tables, which the help is printed from, and their entry points.
#pragma once

#include <span>
#include <string_view>

#include "args.h"

namespace cli {

// What the shell gets. Documented in `lb help`.
enum Exit : int {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,           // As bash and argparse.
  kConfiguration = 78,  // EX_CONFIG of sysexits.h: service managers can be told not to restart on it.
  kInterrupted = 130,   // 128 + SIGINT, as shells report it.
};

struct Command {
  std::string_view name;
  std::string_view synopsis;  // After "lb ".
  std::string_view summary;   // One line for `lb help`.
  std::string_view text;      // For `lb help NAME`, before and after the options.
  std::span<const Option> options;
  size_t words_min, words_max;
  std::string_view words_missing;  // What to say when there are fewer.
  int (*run)(const Arguments&);
  const char* (*more)() = nullptr;  // After the options in the help.
};

extern const Command kServe;
extern const Command kCheck;
extern const Command kChat;
extern const Command kStats;
extern const Command kMock;

std::span<const Command* const> commands();

// To stdout; the status is kOk.
int print_help();
int print_help(const Command& command);

}  // namespace cli
