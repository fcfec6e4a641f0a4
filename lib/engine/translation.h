// What a call keeps whose caller and whose target speak different dialects: its request as values, and how its answers
// are written. The work itself is wire/dialect's.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/chunk.h"
#include "config/vendor.h"
#include "wire/dialect/embeddings.h"
#include "wire/dialect/translate.h"
#include "wire/operation.h"

namespace lb {

class Translation {
 public:
  // `body` is the caller's, whole; `asked` what its path says. INVALID with the place and the remedy.
  static Result<std::unique_ptr<Translation>> read(const Asked& asked, std::string body);

  // The request for a target of that vendor, as that operation of the same kind; it calls the model so. INVALID where
  // it cannot be said there. Begins anew where only a part had been asked.
  Result<std::string> request(Operation target, const Vendor& vendor, std::string_view model);
  // Embeddings of more texts than a target takes at once: what is to be asked behind an answer without a value.
  Result<std::string> rest(Operation target, std::string_view model);
  // Of the request that was written last, and of answers since.
  Losses& losses() { return losses_; }
  // Of a conversation, or of what is to be counted.
  const Request& conversation() const { return request_; }

  Dialect caller() const { return dialect_of(operation_); }

  // A whole answer with status 200, in the caller's dialect; no value: the rest must be asked first. PROTOCOL: it is
  // none of that operation.
  Result<std::optional<std::string>> answer(Operation from, std::string_view body, const WriteAnswer& how);

 private:
  Translation(Operation operation, std::string body) : operation_(operation), body_(std::move(body)) {}

  const Operation operation_;  // The caller's.
  const std::string body_;
  Store store_;
  Request request_;
  Losses losses_;
  // Embeddings.
  EmbedRequest embed_;
  EmbedReply reply_;
  std::deque<std::string> parts_;   // The answers so far, which reply_ has slices of.
  size_t asked_ = 0;                // Inputs that have been asked for.
};

// A field that means something to one provider only, and nothing where a call is translated.
bool is_of_a_dialect(std::string_view field_name);

}  // namespace lb
