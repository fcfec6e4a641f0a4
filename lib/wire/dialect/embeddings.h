// Embeddings: OpenAI's, and Gemini's embedContent and batchEmbedContents. One request may be more than a provider takes
// at once: it is written in several, whose answers are read in their order into one. Pure, as translate.h.
#pragma once

#include <vector>

#include "wire/dialect/translate.h"

namespace lb {

struct EmbedRequest {
  Dialect dialect = Dialect::openai;  // openai or gemini.
  Inner model;
  std::vector<Inner> inputs;          // Texts.
  Raw dimensions;                     // A number; absent: the model's own.
  bool base64 = false;                // OpenAI: vectors are wanted as base64 of 32-bit floats.
  bool single = false;                // Gemini's embedContent: one text, and one vector in the answer.
  Losses lost;
};

struct EmbedReply {
  Inner model;
  std::vector<Raw> vectors;  // Arrays of numbers, in the order of the inputs.
  std::optional<uint64_t> tokens;
};

// INVALID errors: tokens as numbers for Gemini; parts that are no texts.
Result<EmbedRequest> read_embed_request(Dialect dialect, std::string_view body, Store& store);
// How many inputs a provider takes at once: OpenAI 2,048, Gemini 100 (API references).
size_t embed_inputs_max(Dialect dialect);
// Inputs [first, first + count). Gemini is always asked by batchEmbedContents.
WrittenRequest write_embed_request(Dialect dialect, const EmbedRequest& request, std::string_view model, size_t first,
                                   size_t count);

// Appends the `count` vectors of the next answer. PROTOCOL if they are not as many, or no vectors.
std::optional<Error> read_embed_answer(Dialect dialect, std::string_view body, size_t count, EmbedReply& reply);
// As the request wanted it.
std::string write_embed_answer(const EmbedRequest& request, const EmbedReply& reply, std::string_view model);

}  // namespace lb
