// The configuration as the commands take it: a path, or "-" for stdin; and the engine that is opened with it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lb.h"

namespace cli {

struct FreeEngine {
  void operator()(lb_engine* engine) const { lb_engine_free(engine); }
};
struct CloseQueue {
  void operator()(lb_queue* queue) const { lb_queue_close(queue); }
};
using Engine = std::unique_ptr<lb_engine, FreeEngine>;
using Queue = std::unique_ptr<lb_queue, CloseQueue>;  // Declare it after its engine.

// False, with the reason in `out`, when it cannot be read.
bool read_document(std::string_view path, std::string& out);

// What people call it: the path, or "stdin".
std::string document_name(std::string_view path);

// "lb.yaml: /deployments/2/url: missing scheme; write https://host/path"
std::string explain(std::string_view path, const lb_error& error);

lb_error no_error();

// kOk and an engine with its queue; or the exit status, when the reason has been printed.
int open_engine(std::string_view command, std::string_view path, const lb_engine_options& options, Engine& engine,
                Queue& queue);

}  // namespace cli
