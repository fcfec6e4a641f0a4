#include "document.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "command.h"
#include "terminal.h"

namespace cli {

std::string document_name(std::string_view path) { return path == "-" ? "stdin" : std::string(path); }

bool read_document(std::string_view path, std::string& out) {
  int fd = path == "-" ? STDIN_FILENO : open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC);
  std::string text;
  ssize_t n = -1;
  if (fd >= 0) {
    char buffer[65'536];
    do {
      n = read(fd, buffer, sizeof(buffer));
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
    } while (n > 0 || (n < 0 && errno == EINTR));
  }
  int error = errno;
  if (fd > STDIN_FILENO) close(fd);
  out = n < 0 ? std::string("cannot be read: ") + std::strerror(error) : std::move(text);
  return n >= 0;
}

std::string explain(std::string_view path, const lb_error& error) {
  std::string out = document_name(path) + ": ";
  if (*error.where) out.append(error.where).append(": ");
  return out.append(*error.message ? error.message : lb_status_text(error.status));
}

lb_error no_error() {
  lb_error error{};
  error.struct_size = sizeof(error);
  return error;
}

int open_engine(std::string_view command, std::string_view path, const lb_engine_options& options, Engine& engine,
                Queue& queue) {
  std::string text;
  if (!read_document(path, text)) {
    print_error(command, document_name(path) + ": " + text);
    return kConfiguration;
  }
  lb_error error = no_error();
  lb_engine* opened = nullptr;
  if (lb_status status = lb_engine_open(&options, text.data(), text.size(), &opened, &error); status != LB_OK) {
    print_error(command, explain(path, error));
    return status == LB_CONFIG ? kConfiguration : kFailure;
  }
  engine.reset(opened);
  lb_queue* taken = nullptr;
  if (lb_queue_open(opened, nullptr, &taken, &error) != LB_OK) {
    print_error(command, explain(path, error));
    return kFailure;
  }
  queue.reset(taken);
  return kOk;
}

}  // namespace cli
