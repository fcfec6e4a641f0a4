// What a call keeps whose caller and whose target speak different dialects: its request as values, and how its answers
// are written. The work itself is wire/dialect's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/chunk.h"
#include "wire/dialect/translate.h"
#include "wire/operation.h"

namespace lb {

class Translation {
 public:
  // `body` is the caller's, whole; `asked` what its path says. INVALID with the place and the remedy.
  static Result<std::unique_ptr<Translation>> read(const Asked& asked, std::string body);

  // The request for a target of that dialect, which calls the model so. INVALID where it cannot be said there.
  Result<std::string> request(Dialect target, std::string_view model);
  // Of the request that was written last, and of answers since.
  Losses& losses() { return losses_; }

  Dialect caller() const { return caller_; }
  // `model`: as the caller called it. Views hold while their texts do.
  WriteAnswer how(std::string_view model, std::string_view id, int64_t unix_now_s) const;

  // A whole answer with status 200. PROTOCOL: it is none of that dialect.
  Result<std::string> answer(Dialect from, std::string_view body, const WriteAnswer& how);

 private:
  Translation(Dialect caller, std::string body) : caller_(caller), body_(std::move(body)) {}

  const Dialect caller_;
  const std::string body_;
  Store store_;
  Request request_;
  Losses losses_;
};

// A field that means something to one provider only, and nothing where a call is translated.
bool is_of_a_dialect(std::string_view field_name);

}  // namespace lb
