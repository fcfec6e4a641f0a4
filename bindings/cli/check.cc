// lb check: is the configuration right, and if not, where and what to write instead.
#include <cjson/cJSON.h>
#include <string>
#include <unistd.h>

#include "command.h"
#include "document.h"
#include "terminal.h"

namespace cli {

namespace {

constexpr std::string_view kName = "lb check";

constexpr Option kOptions[] = {
    {"schema", 0, Option::Kind::flag, "", "Print the JSON Schema of the configuration, for editors.", 0, 0},
    {"quiet", 'q', Option::Kind::flag, "", "Print errors only.", 0, 0},
};

std::string counted(int n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

// "3 deployments, 4 models": from the snapshot of an engine that never runs. "" and a note when a secret that the
// configuration names is not here: that says nothing about the configuration.
std::string summary(const std::string& text, std::string& note) {
  lb_engine_options options{};
  options.struct_size = sizeof(options);
  options.flags = LB_ENGINE_DRIVEN | LB_ENGINE_SECRETS | LB_ENGINE_NO_LISTEN;
  lb_error error = no_error();
  lb_engine* opened = nullptr;
  if (lb_engine_open(&options, text.data(), text.size(), &opened, &error) != LB_OK) {
    if (*error.where) note.append(error.where).append(": ");
    note.append(error.message);
    return "";
  }
  Engine engine(opened);
  size_t size = 0;
  char* stats = lb_engine_stats(opened, 0, &size);
  cJSON* tree = stats ? cJSON_ParseWithLength(stats, size) : nullptr;
  lb_free(stats);
  int deployments = 0, targets = 0;
  const cJSON* deployment = nullptr;
  cJSON_ArrayForEach(deployment, cJSON_GetObjectItemCaseSensitive(tree, "deployments")) {
    deployments++;
    targets += cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(deployment, "targets"));
  }
  cJSON_Delete(tree);
  std::string out = counted(deployments, "deployment", "deployments");
  if (targets > 0) out += ", " + counted(targets, "model on them", "models on them");
  return out;
}

int check(const Arguments& arguments) {
  if (arguments.has("schema")) {
    std::string schema = lb_config_schema();
    return write_all(STDOUT_FILENO, schema + "\n") ? kOk : kFailure;
  }
  if (arguments.words().empty()) {
    print_error(kName, "which configuration? Name a file, or - for stdin");
    return kUsage;
  }
  int status = kOk;
  for (std::string_view path : arguments.words()) {
    std::string text;
    lb_error error = no_error();
    if (!read_document(path, text)) {
      write_all(STDERR_FILENO, document_name(path) + ": " + text + "\n");
      status = kConfiguration;
    } else if (lb_config_check(text.data(), text.size(), &error) != LB_OK) {
      write_all(STDERR_FILENO, explain(path, error) + "\n");
      status = kConfiguration;
    } else if (!arguments.has("quiet")) {
      std::string note;
      std::string counts = summary(text, note);
      write_all(STDOUT_FILENO, document_name(path) + ": ok" + (counts.empty() ? "" : " (" + counts + ")") + "\n");
      if (!note.empty()) write_all(STDERR_FILENO, document_name(path) + ": note: " + note + "\n");
    }
  }
  return status;
}

}  // namespace

constinit const Command kCheck = {
    "check",
    "check FILE... | --schema",
    "Check a configuration.",
    "Says \"FILE: ok\", or where the first mistake is and what to write instead, and\n"
    "then exits with 78. Opens nothing. A secret that is not there is noted, and no\n"
    "mistake.\n",
    kOptions,
    0,
    size_t(-1),
    "",
    check,
};

}  // namespace cli
