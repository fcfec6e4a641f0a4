// What the commands print, and where: results on stdout, everything else on stderr; colour only on a terminal that
// wants it. Any thread; writes are whole lines.
#pragma once

#include <string>
#include <string_view>

namespace cli {

enum class Colour : unsigned char { none, bold, dim, red, green, yellow, blue };

bool is_terminal(int fd);
// A terminal, NO_COLOR is not set (no-color.org), and TERM is not "dumb".
bool wants_colour(int fd);
std::string paint(bool on, Colour colour, std::string_view text);

// All of it, whatever the kernel takes at a time. False when nobody reads any more.
bool write_all(int fd, std::string_view text);

// "lb serve: TEXT" on stderr.
void print_error(std::string_view command, std::string_view text);

// Text of others, safe to show: control characters that could drive a terminal are left out; tab and newline stay.
// A character cut in two by the caller stays cut: bytes from 0x80 on pass.
std::string harmless(std::string_view text);

}  // namespace cli
