#include "terminal.h"

#include <cerrno>
#include <cstdlib>
#include <unistd.h>

namespace cli {

bool is_terminal(int fd) { return isatty(fd) == 1; }

bool wants_colour(int fd) {
  const char* refused = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  return is_terminal(fd) && !(refused && *refused) && kind && std::string_view(kind) != "dumb";
}

std::string paint(bool on, Colour colour, std::string_view text) {
  if (!on || colour == Colour::none) return std::string(text);
  std::string_view code;
  switch (colour) {
    case Colour::none: break;
    case Colour::bold: code = "1"; break;
    case Colour::dim: code = "2"; break;
    case Colour::red: code = "31"; break;
    case Colour::green: code = "32"; break;
    case Colour::yellow: code = "33"; break;
    case Colour::blue: code = "34"; break;
  }
  std::string out = "\x1b[";
  return out.append(code).append("m").append(text).append("\x1b[0m");
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void print_error(std::string_view command, std::string_view text) {
  std::string line(command);
  line.append(": ").append(text).append("\n");
  write_all(STDERR_FILENO, line);
}

std::string harmless(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    // C1 controls in UTF-8 are C2 80 to C2 9F.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      i++;
      continue;
    }
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) continue;
    out += text[i];
  }
  return out;
}

}  // namespace cli
