#include <algorithm>
#include <string>
#include <unistd.h>

#include "command.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr const Command* kCommands[] = {&kServe, &kCheck, &kChat, &kStats, &kMock};

std::string option_left(const Option& option) {
  std::string left = option.letter ? std::string("  -") + option.letter + ", " : "      ";
  left.append("--").append(option.name);
  if (!option.value.empty()) left.append(" ").append(option.value);
  return left;
}

// Wraps `text` at 80 columns, its lines after the first indented like the first.
void wrap(std::string& out, std::string_view text, size_t indent) {
  size_t column = indent;
  while (!text.empty()) {
    size_t space = text.find(' ');
    std::string_view word = text.substr(0, space);
    if (column > indent && column + 1 + word.size() > 80) {
      out.append("\n").append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      column++;
    }
    out.append(word);
    column += word.size();
    text = space == text.npos ? std::string_view() : text.substr(space + 1);
  }
  out += '\n';
}

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

int print_help() {
  bool colour = wants_colour(STDOUT_FILENO);
  auto title = [colour](std::string_view text) { return paint(colour, Colour::bold, text) + "\n"; };
  std::string out = "lb balances calls to LLM APIs over many deployments, keys and providers.\n\n";
  out += title("Usage") + "  lb COMMAND [OPTIONS]\n\n" + title("Commands");
  for (const Command* command : kCommands) {
    std::string left = "  " + std::string(command->name);
    left.resize(12, ' ');
    out.append(left).append(command->summary).append("\n");
  }
  out += "\n  lb help COMMAND   what it does, and its options\n"
         "  lb --version      version and what it was built with\n\n";
  out += title("First steps") +
         "  lb mock --port 9001 &          # an upstream that needs no key\n"
         "  cat > lb.yaml <<END\n"
         "  listen: [{address: 127.0.0.1:8080}]\n"
         "  deployments: [{name: mock, url: http://127.0.0.1:9001/v1}]\n"
         "  END\n"
         "  lb check lb.yaml\n"
         "  lb serve lb.yaml               # speaks OpenAI at http://127.0.0.1:8080/v1\n"
         "  lb chat lb.yaml -m any Hello   # asks in its own process: no gateway needed\n\n";
  out += title("Exit status") +
         "  0    done\n"
         "  1    it failed; why is on stderr\n"
         "  2    the command line is wrong\n"
         "  78   the configuration is wrong or cannot be read (EX_CONFIG)\n"
         "  130  interrupted\n";
  write_all(STDOUT_FILENO, out);
  return kOk;
}

int print_help(const Command& command) {
  bool colour = wants_colour(STDOUT_FILENO);
  std::string out = paint(colour, Colour::bold, "Usage") + "\n  lb ";
  out.append(command.synopsis).append("\n\n").append(command.text);
  size_t width = 0;
  for (const Option& option : command.options) width = std::max(width, option_left(option).size());
  width = std::max(width, size_t{12}) + 2;
  out += "\n" + paint(colour, Colour::bold, "Options") + "\n";
  for (const Option& option : command.options) {
    std::string left = option_left(option);
    left.resize(width, ' ');
    out += left;
    wrap(out, option.doc, width);
  }
  std::string left = "  -h, --help";
  left.resize(width, ' ');
  out += left + "This text.\n";
  if (command.more) out.append("\n").append(command.more());
  write_all(STDOUT_FILENO, out);
  return kOk;
}

}  // namespace cli
