#include <vector>

#include "base/text.h"
#include "wire/dialect/openai_responses_inside.h"
#include "wire/dialect/signature.h"

namespace lb::responses {

namespace {

using Kind = Delta::Kind;

// Of each event its type says what it is; the name of the SSE event says the same.
class Reader final : public StreamReader {
 public:
  bool event(const SseEvent& event, DeltaSink& to) override {
    std::string_view data = trim(event.data);
    if (data.empty() || data == "[DONE]") return true;
    Result<Raw> json = Raw::parse(data);
    if (!json.ok()) return false;
    Raw top = json.value();
    Inner type = top["type"].inner();
    if (type.empty() && event.name == "error") type = "error";
    if (type == "error" || says_error(top["error"]) || type == "response.failed") return fail(top, to), true;
    if (type.starts_with("response.")) typed(type.substr(9), top, to);
    return true;
  }

  bool end(DeltaSink&) override { return done_; }

 private:
  struct Call {
    uint64_t item;         // Its output_index.
    bool fragment = false;  // Some of its arguments have come.
  };

  void typed(std::string_view type, Raw top, DeltaSink& to) {
    if (type == "output_text.delta") {
      text_ = true;
      to.on({.kind = Kind::text, .text = top["delta"].inner()});
    } else if (type == "function_call_arguments.delta") {
      fragment(top, top["delta"].inner(), to);
    } else if (type == "reasoning_summary_text.delta" || type == "reasoning_text.delta") {
      to.on({.kind = Kind::thinking, .text = top["delta"].inner()});
    } else if (type == "reasoning_summary_part.added") {
      if (top["summary_index"].integer().value_or(0) > 0) to.on({.kind = Kind::thinking, .text = "\\n\\n"});
    } else if (type == "refusal.delta") {
      to.on({.kind = Kind::refusal, .text = top["delta"].inner()});
    } else if (type == "output_item.added") {
      added(top, to);
    } else if (type == "output_item.done") {
      finished(top, to);
    } else if (type == "created") {
      begin(top["response"], to);
    } else if (type == "completed" || type == "incomplete") {
      terminal(top["response"], to);
    }
  }

  void begin(Raw response, DeltaSink& to) {
    if (begun_) return;
    begun_ = true;
    to.on({.kind = Kind::begin, .id = response["id"].inner(), .model = response["model"].inner()});
  }

  void added(Raw top, DeltaSink& to) {
    Raw item = top["item"];
    Inner type = item["type"].inner();
    if (type == "function_call") {
      auto index = static_cast<uint32_t>(calls_.size());
      calls_.push_back({top["output_index"].integer().value_or(0)});
      to.on({.kind = Kind::tool, .index = index, .id = item["call_id"].inner(), .name = item["name"].inner()});
    } else if (type != "message" && type != "reasoning") {
      to.on({.kind = Kind::lost, .text = "output"});
    }
  }

  // The call of an event: the one of its item; the last one where servers do not say.
  Call* call_of(Raw top) {
    if (calls_.empty()) return nullptr;
    std::optional<uint64_t> item = top["output_index"].integer();
    for (size_t i = calls_.size(); i-- > 0;)
      if (calls_[i].item == item) return &calls_[i];
    return item ? nullptr : &calls_.back();
  }

  void fragment(Raw top, Inner text, DeltaSink& to) {
    Call* call = call_of(top);
    if (!call || text.empty()) return;
    call->fragment = true;
    to.on({.kind = Kind::input, .index = static_cast<uint32_t>(call - calls_.data()), .text = text});
  }

  // Some servers give arguments, and texts, only whole.
  void finished(Raw top, DeltaSink& to) {
    Raw item = top["item"];
    Inner type = item["type"].inner();
    if (type == "function_call") {
      Call* call = call_of(top);
      if (call && !call->fragment) {
        Inner arguments = item["arguments"].inner();
        fragment(top, arguments.empty() ? "{}" : arguments, to);
      }
    } else if (type == "message" && !text_) {
      for (RawWalk at = item["content"].walk(); at.next();)
        if (Inner text = at.value()["text"].inner(); !text.empty()) to.on({.kind = Kind::text, .text = text});
    } else if (type == "reasoning") {
      if (Inner data = item["encrypted_content"].inner(); !data.empty())
        to.on({.kind = Kind::signature, .text = data, .origin = Dialect::responses});
    }
    text_ = false;
  }

  void terminal(Raw response, DeltaSink& to) {
    begin(response, to);
    done_ = true;
    to.on({.kind = Kind::stop, .stop = stop_of(response, !calls_.empty())});
    if (Tokens usage = read_usage(response["usage"]); usage.any()) to.on({.kind = Kind::usage, .usage = usage});
    to.on({.kind = Kind::end});
  }

  void fail(Raw top, DeltaSink& to) {
    Raw error = top["response"]["error"];
    if (!error.is_object()) error = top["error"].is_object() ? top["error"] : top;
    Raw code = error["code"].is_string() ? error["code"] : error["type"];
    to.on({.kind = Kind::error, .text = error["message"].inner(), .error = error_class(code.inner())});
  }

  bool begun_ = false, done_ = false;
  bool text_ = false;  // Of the message that is open some text has come.
  std::vector<Call> calls_;
};

}  // namespace

std::unique_ptr<StreamReader> stream_reader() { return std::make_unique<Reader>(); }

}  // namespace lb::responses
