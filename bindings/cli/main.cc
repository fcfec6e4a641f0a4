// The `lb` program: the shell's binding of lb.h. It uses nothing of the library but that header.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

#include "command.h"
#include "lb.h"
#include "terminal.h"

namespace cli {

namespace {

int print_version() {
  uint32_t v = lb_version_number();
  std::string out = "lb " + std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 255) + "." +
                    std::to_string(v & 255);
  out.append("\n").append(lb_build_info()).append("\n");
  write_all(STDOUT_FILENO, out);
  return kOk;
}

const Command* find(std::string_view name) {
  for (const Command* command : commands())
    if (command->name == name) return command;
  return nullptr;
}

int unknown(std::string_view name) {
  std::vector<std::string_view> names = {"help"};
  for (const Command* command : commands()) names.push_back(command->name);
  std::string text = "there is no command \"" + std::string(name) + "\"";
  if (std::string_view meant = nearest(name, names); !meant.empty())
    text.append("; did you mean `lb ").append(meant).append("`?");
  print_error("lb", text);
  print_error("lb", "`lb help` lists the commands");
  return kUsage;
}

int run(const Command& command, int count, char** words) {
  std::string name = "lb " + std::string(command.name);
  auto arguments = Arguments::parse(name, command.options, count, words);
  if (!arguments) return kUsage;
  if (arguments->wants_help()) return print_help(command);
  size_t given = arguments->words().size();
  if (given < command.words_min) {
    print_error(name, command.words_missing);
    print_error(name, "usage: lb " + std::string(command.synopsis));
    return kUsage;
  }
  if (given > command.words_max) {
    print_error(name, "\"" + std::string(arguments->words()[command.words_max]) + "\" is one word too many");
    print_error(name, "usage: lb " + std::string(command.synopsis));
    return kUsage;
  }
  return command.run(*arguments);
}

int start(int count, char** words) {
  std::signal(SIGPIPE, SIG_IGN);  // A reader of ours that goes away is an error of write, not our death.
  if (count < 2) {
    print_error("lb", "which command? `lb help` lists them");
    return kUsage;
  }
  std::string_view first = words[1];
  if (first == "--version" || first == "-V" || first == "version") return print_version();
  if (first == "--help" || first == "-h") return print_help();
  if (first == "help") {
    if (count == 2) return print_help();
    const Command* command = find(words[2]);
    return command ? print_help(*command) : unknown(words[2]);
  }
  const Command* command = find(first);
  return command ? run(*command, count - 2, words + 2) : unknown(first);
}

}  // namespace

}  // namespace cli

int main(int count, char** words) { return cli::start(count, words); }
