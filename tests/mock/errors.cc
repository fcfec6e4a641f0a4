#include "mock/errors.h"

#include "mock/text.h"

namespace lb::mock {

namespace {

std::string_view openai_type(uint32_t status) {
  if (status == 429) return "requests";
  if (status == 529) return "overloaded_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string_view openai_code(uint32_t status) {
  switch (status) {
    case 401: return "invalid_api_key";
    case 404: return "model_not_found";
    case 429: return "rate_limit_exceeded";
    default: return {};
  }
}

// https://docs.anthropic.com/en/api/errors
std::string_view anthropic_type(uint32_t status) {
  switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 529: return "overloaded_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

// google.rpc.Code by HTTP status.
std::string_view gemini_status(uint32_t status) {
  switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 429: return "RESOURCE_EXHAUSTED";
    case 499: return "CANCELLED";
    case 501: return "UNIMPLEMENTED";
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
  }
}

void add_details(std::string_view retry_delay, std::string* out) {
  add(out, ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"", retry_delay,
      "\"}]");
}

void add_openai(uint32_t status, std::string_view code, std::string_view message, std::string_view retry_delay,
                std::string* out) {
  *out += "{\"error\":{\"message\":";
  add_quoted(out, message);
  add(out, ",\"type\":\"", openai_type(status), "\",\"param\":null,\"code\":");
  if (code.empty()) code = openai_code(status);
  if (code.empty()) *out += "null";
  else add_quoted(out, code);
  if (!retry_delay.empty()) {
    *out += ",\"status\":\"RESOURCE_EXHAUSTED\"";
    add_details(retry_delay, out);
  }
  *out += "}}";
}

void add_anthropic(uint32_t status, std::string_view type, std::string_view message, std::string* out) {
  *out += "{\"type\":\"error\",\"error\":{\"type\":";
  add_quoted(out, type.empty() ? anthropic_type(status) : type);
  *out += ",\"message\":";
  add_quoted(out, message);
  *out += "}}";
}

void add_gemini(uint32_t status, std::string_view name, std::string_view message, std::string_view retry_delay,
                std::string* out) {
  add(out, "{\"error\":{\"code\":", status, ",\"message\":");
  add_quoted(out, message);
  *out += ",\"status\":";
  add_quoted(out, name.empty() ? gemini_status(status) : name);
  if (!retry_delay.empty()) add_details(retry_delay, out);
  *out += "}}";
}

}  // namespace

void add_error(Voice voice, uint32_t status, std::string_view code, std::string_view message,
               std::string_view retry_delay, std::string* out) {
  switch (voice) {
    case Voice::openai: return add_openai(status, code, message, retry_delay, out);
    case Voice::anthropic: return add_anthropic(status, code, message, out);
    case Voice::gemini: return add_gemini(status, code, message, retry_delay, out);
  }
}

std::string_view reason(uint32_t status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 413: return "Content Too Large";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Mock";
  }
}

}  // namespace lb::mock
