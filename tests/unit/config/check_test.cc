// Every row of the schema at its bounds and one over, by documents made from the table itself.
#include "config/check.h"

#include <array>
#include <cstdio>

#include "config/schema.h"
#include "fixture.h"

namespace lb {
namespace {

using schema::Row;
using schema::Type;

// A document in which the row at `path` has the value `json`, and what it needs beside it.
std::string document_with(std::string_view path, const std::string& json) {
  auto below = [&](std::string_view prefix) {
    return path.starts_with(prefix) ? '"' + std::string(path.substr(prefix.size())) + "\": " + json : "";
  };
  std::string deployment = R"({"name": "a", "url": "https://host"})", extra;
  if (std::string price = below("/deployments/*/models/*/price/"); !price.empty())
    deployment = R"({"name": "a", "kind": "echo", "models": {"m": {"price": {)" + price + "}}}}";
  else if (std::string member = below("/deployments/*/models/*/"); !member.empty())
    deployment = R"({"name": "a", "kind": "echo", "models": {"m": {)" + member + "}}}";
  else if (std::string of_tls = below("/deployments/*/tls/"); !of_tls.empty())
    deployment = R"({"name": "a", "url": "https://host", "tls": {)" + of_tls + "}}";
  else if (path.ends_with("/events") || path.ends_with("/delay_ms"))
    deployment = R"({"name": "a", "kind": "echo", )" + below("/deployments/*/") + '}';
  else if (path == "/deployments/*/name")
    deployment = R"({"kind": "echo", "name": )" + json + '}';
  else if (path == "/deployments/*/url")
    deployment = R"({"name": "a", "url": )" + json + '}';
  else if (std::string of_deployment = below("/deployments/*/"); !of_deployment.empty())
    deployment = R"({"name": "a", "url": "https://host", )" + of_deployment + '}';
  if (path == "/routes/*/model") extra = R"(, "routes": [{"model": )" + json + "}]";
  else if (std::string of_hedge = below("/routes/*/hedge/"); !of_hedge.empty())
    extra = R"(, "routes": [{"model": "m", "hedge": {)" + of_hedge + "}}]";
  else if (path.starts_with("/routes/*/")) extra = R"(, "routes": [{"model": "m", )" + below("/routes/*/") + "}]";
  if (path == "/listen/*/name") extra = R"(, "listen": [{"address": "127.0.0.1:0", "name": )" + json + "}]";
  for (std::string part : {"limits", "health", "retry_budget"})
    if (std::string text = below('/' + part + '/'); !text.empty()) extra = ", \"" + part + "\": {" + text + '}';
  if (std::string member = below("/tokenizer/"); !member.empty())
    extra = R"(, "tokenizer": {)" + member + R"(, ")" +
            (path.ends_with("/file") ? R"(encoding": "cl100k_base"})" : R"(file": "f"})");
  if (std::string member = below("/callers/*/"); !member.empty()) extra = R"(, "callers": {"c": {)" + member + "}}";
  if (std::string member = below("/accounts/*/"); !member.empty()) {
    deployment = R"({"name": "a", "url": "https://host", "account": "c"})";
    extra = R"(, "accounts": {"c": {)" + member + "}}";
  }
  if (std::string member = below("/errors/*/"); !member.empty()) {
    std::string fits = path.ends_with("/status") ? "" : R"("status": 500, )";
    std::string does = path.ends_with("/cool_ms") ? "" : R"(, "cool_ms": 5)";
    extra = R"(, "errors": [{)" + fits + member + does + "}]";
  }
  return "{\"deployments\": [" + deployment + ']' + extra + '}';
}

std::string pointer(const Row& row) {
  std::string out(row.path);
  constexpr std::string_view kModel = "/deployments/*/models/*/";
  if (out.starts_with(kModel)) return "/deployments/0/models/m/" + out.substr(kModel.size());
  for (std::string_view map : {"/callers/*", "/accounts/*"})
    if (out.starts_with(map)) return out.replace(map.size() - 1, 1, "c");
  if (size_t star = out.find('*'); star != std::string::npos) out[star] = '0';
  return out;
}

std::string number(double value) {
  JsonWriter json;
  json.value(value);
  return json.take();
}

std::string refused_at(const Row& row) { return pointer(row) + ": is out of range; write " + schema::expected(row); }

void numbers_have_ranges(void**) {
  int seen = 0;
  for (const Row& row : schema::rows()) {
    if (row.type != Type::integer && row.type != Type::number) continue;
    seen++;
    double step = row.type == Type::integer ? 1 : 0.0001;
    assert_text(refusal(document_with(row.path, number(row.low))), "");
    assert_text(refusal(document_with(row.path, number(row.high))), "");
    assert_text(refusal(document_with(row.path, number(row.low - step))), refused_at(row));
    assert_text(refusal(document_with(row.path, number(row.high + step))), refused_at(row));
    assert_text(refusal(document_with(row.path, "-1e300")), refused_at(row));
  }
  assert_int_equal(seen, 99);
}

void every_default_is_taken(void**) {
  for (const Row& row : schema::rows()) {
    bool number = row.type == Type::integer || row.type == Type::number;
    bool scalar = number || row.type == Type::choice || row.type == Type::boolean;
    if (!scalar || row.path.ends_with("/kind") || row.fallback.empty()) continue;
    assert_text(refusal(document_with(row.path, std::string(row.fallback))), "");
  }
}

// Of each row every type but its own.
void types_are_checked(void**) {
  for (const Row& row : schema::rows()) {
    if (row.path.empty() || row.path.ends_with("/*") || row.path.find('/', 1) == std::string_view::npos) continue;
    if (row.path == "/listen/*/address") continue;  // In errors.case.
    auto refused = [&](const char* json, const char* type) {
      std::string is = refusal(document_with(row.path, json)), wanted = pointer(row) + ": is " + type + "; write ";
      if (!is.starts_with(wanted)) fail_msg("%s for %s: %s", json, std::string(row.path).c_str(), is.c_str());
    };
    bool number = row.type == Type::integer || row.type == Type::number;
    bool list = row.type == Type::list || row.type == Type::models;
    bool map = row.type == Type::object || row.type == Type::map || row.type == Type::models;
    bool object_too = map || row.type == Type::secret || row.type == Type::pem;
    if (!number) refused("5", "a number");
    if (row.type != Type::boolean) refused("true", "a boolean");
    if (number || list || map || row.type == Type::boolean) refused("\"5\"", "a string");
    if (!list) refused("[]", "a list");
    if (!object_too) refused("{}", "an object");
    refused("null", "null");
  }
}

std::string text_of(size_t size) { return '"' + std::string(size, 'a') + '"'; }

void texts_have_lengths(void**) {
  for (std::string_view path : {"/deployments/*/name", "/deployments/*/key", "/deployments/*/models/*/as",
                                "/deployments/*/tls/server_name", "/routes/*/model", "/listen/*/name"}) {
    const Row* row = nullptr;
    for (const Row& other : schema::rows())
      if (other.path == path) row = &other;
    auto most = static_cast<size_t>(row->high);
    assert_text(refusal(document_with(path, text_of(1))), "");
    assert_text(refusal(document_with(path, text_of(most))), "");
    assert_text(refusal(document_with(path, text_of(most + 1))),
                pointer(*row) + ": has more than " + std::to_string(most) + " bytes; write fewer");
    assert_text(refusal(document_with(path, "\"\"")), pointer(*row) + ": is empty; write " + schema::expected(*row));
  }
  auto url = [](size_t size) { return "\"https://host/" + std::string(size - 13, 'a') + '"'; };
  auto url_document = [&](size_t size) { return R"({"deployments": [{"name": "a", "url": )" + url(size) + "}]}"; };
  assert_text(refusal(url_document(2048)), "");
  assert_text(refusal(url_document(2049)), "/deployments/0/url: has more than 2048 bytes; write fewer");
}

std::string repeated(size_t count, const char* format) {
  std::string out;
  for (size_t i = 0; i < count; i++) {
    std::array<char, 128> text;
    snprintf(text.data(), text.size(), format, i);
    out += (i ? ", " : "") + std::string(text.data());
  }
  return out;
}

void lists_have_sizes(void**) {
  auto deployments = [](size_t n) {
    return "{\"deployments\": [" + repeated(n, R"({"name": "a%zu", "kind": "echo"})") + "]}";
  };
  assert_text(refusal(deployments(1024)), "");
  assert_text(refusal(deployments(1025)), "/deployments: has more than 1024 elements; write fewer");

  auto headers = [](size_t n) {
    return document_with("/deployments/*/headers", '{' + repeated(n, "\"h%zu\": \"\"") + '}');
  };
  assert_text(refusal(headers(64)), "");
  assert_text(refusal(headers(65)), "/deployments/0/headers: has more than 64 members; write fewer");

  auto models = [](size_t n) { return document_with("/deployments/*/models", '[' + repeated(n, "\"m%zu\"") + ']'); };
  assert_text(refusal(models(4096)), "");
  assert_text(refusal(models(4097)), "/deployments/0/models: has more than 4096 elements; write fewer");
  auto map = [](size_t n) {
    return document_with("/deployments/*/models", '{' + repeated(n, "\"m%zu\": null") + '}');
  };
  assert_text(refusal(map(4096)), "");
  assert_text(refusal(map(4097)), "/deployments/0/models: has more than 4096 members; write fewer");

  std::string head = R"({"deployments": [{"name": "a", "kind": "echo"}], )";
  auto routes = [&](size_t n) { return head + "\"routes\": [" + repeated(n, R"({"model": "m%zu"})") + "]}"; };
  assert_text(refusal(routes(4096)), "");
  assert_text(refusal(routes(4097)), "/routes: has more than 4096 elements; write fewer");
  auto listen = [&](size_t n) {
    return head + "\"listen\": [" + repeated(n, R"({"address": "127.0.0.1:%zu"})") + "]}";
  };
  assert_text(refusal(listen(64)), "");
  assert_text(refusal(listen(65)), "/listen: has more than 64 elements; write fewer");
}

void tiers_have_sizes(void**) {
  auto tiers = [](size_t n) {
    return "{\"deployments\": [" + repeated(n, R"({"name": "a%zu", "kind": "echo"})") +
           R"(], "routes": [{"model": "m", "tiers": [)" + repeated(n, "[\"a%zu\"]") + "]}]}";
  };
  assert_text(refusal(tiers(16)), "");
  assert_text(refusal(tiers(17)), "/routes/0/tiers: has more than 16 elements; write fewer");
  auto tier = [](size_t n) {
    return "{\"deployments\": [" + repeated(1024, R"({"name": "a%zu", "kind": "echo"})") +
           R"(], "routes": [{"model": "m", "tiers": [[)" + repeated(n, "\"a%zu\"") + "]]}]}";
  };
  assert_text(refusal(tier(1024)), "");
  assert_text(refusal(tier(1025)), "/routes/0/tiers/0: has more than 1024 elements; write fewer");
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::numbers_have_ranges), cmocka_unit_test(lb::every_default_is_taken),
      cmocka_unit_test(lb::types_are_checked),   cmocka_unit_test(lb::texts_have_lengths),
      cmocka_unit_test(lb::lists_have_sizes),    cmocka_unit_test(lb::tiers_have_sizes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
