// A request body on its way through the engine to two upstreams, one after the other, each of which knows the model by
// another name: however the body comes, each gets it whole, with nothing changed but the value of `model`.
#include "fuzz/cmocka.h"
#include "unit/engine/rig.h"
#include "wire/escape.h"
#include "wire/json.h"

namespace lb::fuzz {
namespace {

constexpr std::string_view kAs[] = {"m", "", "x", "quoted \"\\\n\xc3\xa9",
                                    "a-name-that-is-much-longer-than-the-one-it-replaces"};

struct Case {
  std::string_view text;
  std::string_view as[2];    // What the upstreams call it.
  bool length_known = false;  // The caller says beforehand how long the body is.
  bool late = false;         // The upstream is connected only when the body is there.
};

// The one request that an upstream was sent; nothing where it is not whole.
std::optional<std::string> body_of(const std::string& sent) {
  Http1Parser parser(Http1Parser::Kind::request, {});
  std::vector<Http1Parser::Piece> pieces;
  size_t used = parser.feed(sent, pieces);
  require(parser.fault() == Http1Parser::Fault::none, "an upstream was sent what is not HTTP/1.1");
  if (pieces.empty() || pieces.back().kind != Http1Parser::Piece::Kind::end) return std::nullopt;
  require(used == sent.size(), "an upstream was sent more than a request");
  std::string body;
  for (const Http1Parser::Piece& piece : pieces) body += piece.bytes;
  return body;
}

// "refused CODE", or the bodies that both upstreams got.
std::string sent(const Case& with, const Cuts& cuts) {
  test::Rig rig;
  rig.route().model = "*";  // Whatever the body asks for.
  for (size_t i = 0; i < 2; i++) rig.config->deployments[i].models[0] = {"*", text_of(with.as[i]), {}, {}};
  CallSpec spec = rig.spec("");
  spec.body = Chain();
  spec.body_complete = false;
  if (with.length_known) spec.body_length = with.text.size();
  CallId call = rig.start(std::move(spec));
  auto connect = [&] {
    if (rig.net.conns.size() == 1 && rig.net.conns[0].open && rig.net.conns[0].sent.empty()) rig.up(1);
  };
  each_part(with.text, cuts, [&](std::string_view part) {
    rig.engine->begin(rig.now);
    rig.engine->append_body(call, Chunk::copy(part), false);
    rig.turn();
    if (!with.late) connect();
  });
  rig.engine->begin(rig.now);
  rig.engine->append_body(call, {}, true);
  rig.turn();
  connect();
  if (rig.dones > 0) return "refused " + std::to_string(rig.code);
  require(rig.net.conns.size() == 1, "one upstream is asked first");
  std::optional<std::string> first = body_of(rig.net.conns[0].sent);
  require(first.has_value(), "the first upstream does not get the whole body");
  rig.says(1, test::failing(500));
  require(rig.net.conns.size() == 2, "the second upstream is not asked");
  rig.up(2);
  std::optional<std::string> second = body_of(rig.net.conns[1].sent);
  require(second.has_value(), "the second upstream does not get the whole body");
  rig.says(2, test::good());
  rig.expect_done(Status::OK, 200);
  return *first + "\n" + *second;
}

std::string renamed(const Case& with, const OpenAiRequest& request, std::string_view as) {
  if (as.empty() || as == request.model()) return text_of(with.text);
  return text_of(with.text.substr(0, request.model_begin())) + json_quote(as) +
         text_of(with.text.substr(request.model_end()));
}

// The tree that was sent is the tree that came, but for its model.
void check_tree(std::string_view came, const std::string& went, std::string_view as) {
  Result<JsonDocument> before = JsonDocument::parse(came), after = JsonDocument::parse(went);
  if (!before.ok()) return;
  require(after.ok(), "JSON came, and something else went");
  JsonView a = before.value().root().first(), b = after.value().root().first();
  for (; a.present() && b.present(); a = a.next(), b = b.next()) {
    require(a.key() == b.key(), "another member");
    if (a.key() == "model" && !as.empty())
      require_same(b.string(), as, "the model that went");
    else
      require_same(b.print(), a.print(), "a member that is not the model");
  }
  require(!a.present() && !b.present(), "more or fewer members");
}

}  // namespace
}  // namespace lb::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) { return end_on_failed_assert(); }

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lb::fuzz;
  Input input = split_input(data, size);
  Case with{input.text, {kAs[2], kAs[4]}};
  if (!input.choices.none()) {
    for (std::string_view& as : with.as) as = kAs[input.choices.below(std::size(kAs))];
    with.length_known = input.choices.below(2);
    with.late = input.choices.below(2);
  }
  std::string got = same_at_any_cut(input.text, input.choices, [&](const lb::Cuts& cuts) { return sent(with, cuts); });
  if (got.starts_with("refused ")) return 0;
  lb::OpenAiRequest request;
  request.feed(input.text);
  std::string wanted[2];
  for (size_t i = 0; i < 2; i++) {
    wanted[i] = renamed(with, request, with.as[i]);
    check_tree(input.text, wanted[i], with.as[i]);
  }
  require_same(got, wanted[0] + "\n" + wanted[1], "what the upstreams were sent");
  return 0;
}
