#include "wire/dialect/embeddings.h"

#include <bit>

#include "wire/dialect/gemini_content_inside.h"
#include "wire/escape.h"
#include "wire/json.h"

namespace lb {

namespace {

Error invalid(std::string where, std::string message) {
  return {Status::INVALID, std::move(where), std::move(message)};
}
Error no_answer(std::string message) { return {Status::PROTOCOL, "", std::move(message)}; }

Result<EmbedRequest> read_openai(Raw body) {
  EmbedRequest out;
  out.model = body["model"].inner();
  Raw input = body["input"];
  if (input.is_string()) out.inputs.push_back(input.inner());
  for (RawWalk at = input.is_array() ? input.walk() : Raw().walk(); at.next();) {
    if (!at.value().is_string()) return invalid("input", "tokens as numbers are of one model only; send texts");
    out.inputs.push_back(at.value().inner());
  }
  if (out.inputs.empty()) return invalid("input", "is missing or empty; give a text, or a list of texts");
  if (body["dimensions"].is_number()) out.dimensions = body["dimensions"];
  out.base64 = body["encoding_format"].inner() == "base64";
  for (RawWalk at = body.walk(); at.next();)
    if (!at.is("model") && !at.is("input") && !at.is("dimensions") && !at.is("encoding_format") && at.value().given())
      out.lost.add(at.key());
  return out;
}

// One text of all parts.
std::optional<Error> read_gemini_one(Raw from, const std::string& where, EmbedRequest& out, Store& store) {
  Raw parts = gemini::parts_of(gemini::member(from, "content"), store);
  std::string joined;
  size_t count = 0;
  Raw text;
  for (RawWalk at = parts.walk(); at.next(); count++) {
    text = gemini::member(at.value(), "text");
    if (!text.is_string()) return invalid(where + "content.parts", "only texts can be embedded elsewhere");
    joined.append(count > 0 ? "\\n" : "").append(text.inner());
  }
  if (count == 0) return invalid(where + "content", "is missing or has no parts; give {\"parts\":[{\"text\":...}]}");
  out.inputs.push_back(count == 1 ? text.inner() : store.keep(std::move(joined)));
  Raw dimensions = gemini::number_member(from, "outputDimensionality", store);
  bool same = out.inputs.size() == 1 || dimensions.text() == out.dimensions.text();
  if (!same) return invalid(where + "outputDimensionality", "differs from that of another request; ask for each apart");
  out.dimensions = dimensions;
  Raw model = gemini::member(from, "model");
  if (model.is_string()) out.model = model.inner();
  for (std::string_view name : {"taskType", "title"})
    if (gemini::member(from, name).given()) out.lost.add(name);
  return std::nullopt;
}

Result<EmbedRequest> read_gemini(Raw body, Store& store) {
  EmbedRequest out;
  out.dialect = Dialect::gemini;
  Raw requests = gemini::member(body, "requests");
  out.single = !requests.is_array();
  std::optional<Error> error;
  if (out.single) error = read_gemini_one(body, "", out, store);
  for (RawWalk at = out.single ? Raw().walk() : requests.walk(); !error && at.next();)
    error = read_gemini_one(at.value(), "requests." + std::to_string(out.inputs.size()) + ".", out, store);
  if (error) return *error;
  if (out.inputs.empty()) return invalid("requests", "is empty; give at least one");
  return out;
}

// RFC 4648 §4.
std::string base64(std::string_view bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t n = 0; n < 3; n++)
      group = group << 8 | (i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0u);
    for (size_t n = 0; n < 4; n++)
      out.push_back(i + n <= bytes.size() ? kLetters[group >> (18 - 6 * n) & 63] : '=');
  }
  return out;
}

// As OpenAI has it: 32-bit floats, the lowest byte first.
std::string floats(Raw vector) {
  std::string bytes;
  for (RawWalk at = vector.walk(); at.next();) {
    auto bits = std::bit_cast<uint32_t>(static_cast<float>(at.value().number()));
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift & 0xff));
  }
  return base64(bytes);
}

bool is_vector(Raw value) {
  if (!value.is_array()) return false;
  for (RawWalk at = value.walk(); at.next();)
    if (!at.value().is_number()) return false;
  return true;
}

std::string write_openai_answer(const EmbedRequest& request, const EmbedReply& reply, std::string_view model) {
  JsonWriter out;
  out.begin_object().key("object").value("list").key("data").begin_array();
  for (size_t i = 0; i < reply.vectors.size(); i++) {
    out.begin_object().key("object").value("embedding").key("index").value(uint64_t{i}).key("embedding");
    request.base64 ? out.value(floats(reply.vectors[i])) : out.raw(reply.vectors[i].text());
    out.end_object();
  }
  out.end_array().key("model");
  model.empty() ? out.raw_string(reply.model) : out.value(model);
  if (reply.tokens) {
    out.key("usage").begin_object().key("prompt_tokens").value(*reply.tokens);
    out.key("total_tokens").value(*reply.tokens).end_object();
  }
  return out.end_object().take();
}

std::string write_gemini_answer(const EmbedRequest& request, const EmbedReply& reply) {
  JsonWriter out;
  out.begin_object().key(request.single ? "embedding" : "embeddings");
  if (!request.single) out.begin_array();
  for (Raw vector : reply.vectors) out.begin_object().key("values").raw(vector.text()).end_object();
  if (!request.single) out.end_array();
  if (reply.tokens) out.key("usageMetadata").begin_object().key("promptTokenCount").value(*reply.tokens).end_object();
  return out.end_object().take();
}

// The vectors by the index that each says; by their order where they say none.
std::optional<Error> place_vectors(Raw list, std::string_view name, size_t count, EmbedReply& reply) {
  size_t first = reply.vectors.size(), seen = 0;
  reply.vectors.resize(first + count);
  for (RawWalk at = list.walk(); at.next(); seen++) {
    uint64_t index = at.value()["index"].integer().value_or(seen);
    Raw vector = at.value()[name];
    if (index >= count || reply.vectors[first + index].present() || !is_vector(vector))
      return no_answer("embedding " + std::to_string(seen) + " is no vector, or has no place");
    reply.vectors[first + index] = vector;
  }
  if (seen == count) return std::nullopt;
  return no_answer(std::to_string(seen) + " embeddings came for " + std::to_string(count) + " texts");
}

}  // namespace

Result<EmbedRequest> read_embed_request(Dialect dialect, std::string_view body, Store& store) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return json.error();
  return dialect == Dialect::gemini ? read_gemini(json.value(), store) : read_openai(json.value());
}

size_t embed_inputs_max(Dialect dialect) { return dialect == Dialect::gemini ? 100 : 2048; }

WrittenRequest write_embed_request(Dialect dialect, const EmbedRequest& request, std::string_view model, size_t first,
                                   size_t count) {
  JsonWriter out;
  bool gemini = dialect == Dialect::gemini;
  out.begin_object();
  if (!gemini) out.key("model").value(model);
  out.key(gemini ? "requests" : "input").begin_array();
  for (size_t i = first; i < first + count; i++) {
    if (!gemini) {
      out.raw_string(request.inputs[i]);
      continue;
    }
    out.begin_object().key("model").value("models/" + std::string(model)).key("content").begin_object();
    out.key("parts").begin_array().begin_object().key("text").raw_string(request.inputs[i]).end_object().end_array();
    out.end_object();
    if (request.dimensions.present()) out.key("outputDimensionality").raw(request.dimensions.text());
    out.end_object();
  }
  out.end_array();
  if (!gemini && request.dimensions.present()) out.key("dimensions").raw(request.dimensions.text());
  if (!gemini) out.key("encoding_format").value("float");
  return {out.end_object().take(), request.lost};
}

std::optional<Error> read_embed_answer(Dialect dialect, std::string_view body, size_t count, EmbedReply& reply) {
  Result<Raw> json = Raw::parse(body);
  if (!json.ok()) return no_answer(json.error().message);
  Raw top = json.value();
  bool gemini = dialect == Dialect::gemini;
  Raw list = gemini ? gemini::member(top, "embeddings") : top["data"];
  if (!list.is_array()) return no_answer(gemini ? "no `embeddings` in the answer" : "no `data` in the answer");
  if (reply.model.empty()) reply.model = top["model"].inner();
  Raw usage = gemini ? gemini::member(top, "usageMetadata") : top["usage"];
  std::optional<uint64_t> tokens =
      gemini ? gemini::member(usage, "promptTokenCount").integer() : usage["prompt_tokens"].integer();
  if (tokens) reply.tokens = reply.tokens.value_or(0) + *tokens;
  return place_vectors(list, gemini ? "values" : "embedding", count, reply);
}

std::string write_embed_answer(const EmbedRequest& request, const EmbedReply& reply, std::string_view model) {
  return request.dialect == Dialect::gemini ? write_gemini_answer(request, reply)
                                            : write_openai_answer(request, reply, model);
}

}  // namespace lb
