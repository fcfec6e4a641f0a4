#include "engine/translation.h"

#include "base/text.h"
#include "wire/escape.h"

namespace lb {

Result<std::unique_ptr<Translation>> Translation::read(const Asked& asked, std::string body) {
  std::unique_ptr<Translation> out(new Translation(*dialect_of(asked.operation), std::move(body)));
  Result<Request> request = read_request(out->caller_, out->body_, out->store_);
  if (!request.ok()) return request.error();
  out->request_ = std::move(request.value());
  if (asked.in_path) {
    out->request_.model = out->store_.keep(encode_inner(asked.model));
    out->request_.stream = asked.stream;
  }
  return out;
}

Result<std::string> Translation::request(Dialect target, std::string_view model) {
  WriteRequest how;
  how.model = model;
  Result<WrittenRequest> written = write_request(target, request_, how, store_);
  if (!written.ok()) return written.error();
  losses_ = std::move(written.value().losses);
  return std::move(written.value().body);
}

WriteAnswer Translation::how(std::string_view model, std::string_view id, int64_t unix_now_s) const {
  WriteAnswer how;
  how.model = model;
  how.id = id;
  how.created = static_cast<uint64_t>(unix_now_s > 0 ? unix_now_s : 0);
  how.stream_usage = request_.stream_usage;
  return how;
}

Result<std::string> Translation::answer(Dialect from, std::string_view body, const WriteAnswer& how) {
  Store store;
  Result<Reply> reply = read_answer(from, body, store);
  if (!reply.ok()) return reply.error();
  return write_answer(caller_, reply.value(), how, losses_);
}

bool is_of_a_dialect(std::string_view field_name) {
  for (std::string_view prefix : {"anthropic-", "openai-", "x-goog-"})
    if (istarts_with(field_name, prefix)) return true;
  return false;
}

}  // namespace lb
