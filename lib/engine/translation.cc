#include "engine/translation.h"

#include "base/text.h"
#include "wire/dialect/anthropic_messages.h"
#include "wire/dialect/count_tokens.h"
#include "wire/escape.h"

namespace lb {

Result<std::unique_ptr<Translation>> Translation::read(const Asked& asked, std::string body) {
  std::unique_ptr<Translation> out(new Translation(asked.operation, std::move(body)));
  if (kind_of(asked.operation) == OperationKind::embedding) {
    Result<EmbedRequest> embed = read_embed_request(out->caller(), out->body_, out->store_);
    if (!embed.ok()) return embed.error();
    out->embed_ = std::move(embed.value());
    return out;
  }
  auto read = kind_of(asked.operation) == OperationKind::count ? read_count_request : read_request;
  Result<Request> request = read(out->caller(), out->body_, out->store_);
  if (!request.ok()) return request.error();
  out->request_ = std::move(request.value());
  if (asked.in_path) {
    out->request_.model = out->store_.keep(encode_inner(asked.model));
    out->request_.stream = asked.stream;
  }
  return out;
}

Result<std::string> Translation::request(Operation target, const Vendor& vendor, std::string_view model) {
  if (kind_of(target) == OperationKind::embedding) {
    asked_ = 0;
    parts_.clear();
    reply_ = {};
    losses_ = embed_.lost;
    return rest(target, model);
  }
  WriteRequest how;
  how.model = model;
  how.classic_max_tokens = vendor.classic_max_tokens;
  how.thinking_back = vendor.thinking_back;
  how.classic_thinking = wants_thinking_budget(model);
  auto write = kind_of(target) == OperationKind::count ? write_count_request : write_request;
  Result<WrittenRequest> written = write(dialect_of(target), request_, how, store_);
  if (!written.ok()) return written.error();
  losses_ = std::move(written.value().losses);
  return std::move(written.value().body);
}

Result<std::string> Translation::rest(Operation target, std::string_view model) {
  Dialect dialect = dialect_of(target);
  size_t count = std::min(embed_inputs_max(dialect), embed_.inputs.size() - asked_);
  WrittenRequest written = write_embed_request(dialect, embed_, model, asked_, count);
  asked_ += count;
  return std::move(written.body);
}

Result<std::optional<std::string>> Translation::answer(Operation from, std::string_view body, const WriteAnswer& how) {
  Dialect dialect = dialect_of(from);
  switch (kind_of(from)) {
    case OperationKind::count: {
      Result<uint64_t> tokens = read_count_answer(dialect, body);
      if (!tokens.ok()) return tokens.error();
      return std::optional(write_count_answer(caller(), tokens.value()));
    }
    case OperationKind::embedding: {
      parts_.emplace_back(body);
      size_t count = asked_ - reply_.vectors.size();
      if (std::optional<Error> error = read_embed_answer(dialect, parts_.back(), count, reply_)) return *error;
      if (asked_ < embed_.inputs.size()) return std::optional<std::string>();
      return std::optional(write_embed_answer(embed_, reply_, how.model));
    }
    case OperationKind::conversation:
    case OperationKind::completion: break;
  }
  Store store;
  Result<Reply> reply = read_answer(dialect, body, store);
  if (!reply.ok()) return reply.error();
  return std::optional(write_answer(caller(), reply.value(), how, losses_));
}

bool is_of_a_dialect(std::string_view field_name) {
  for (std::string_view prefix : {"anthropic-", "openai-", "x-goog-"})
    if (istarts_with(field_name, prefix)) return true;
  return false;
}

}  // namespace lb
