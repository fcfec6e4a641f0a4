/* Values to and from JS, and what needs no engine. */
#include "addon.h"

#include <stdlib.h>

void reserve(buffer *b, size_t cap) {
  if (b->cap >= cap) return;
  free(b->data);
  b->data = malloc(b->cap = cap);
  if (!b->data) abort();
}

uint32_t u32_of(napi_env env, napi_value value) {
  uint32_t out = 0;
  napi_get_value_uint32(env, value, &out);
  return out;
}

uint64_t u64_of(napi_env env, napi_value value) {
  uint64_t out = 0;
  double number = 0;
  bool lossless;
  if (napi_get_value_bigint_uint64(env, value, &out, &lossless) == napi_ok) return out;
  napi_get_value_double(env, value, &number);
  return number > 0 ? number < 1.8e19 ? (uint64_t)number : UINT64_MAX : 0;
}

napi_value property(napi_env env, napi_value of, const char *name) {
  napi_value out = NULL;
  napi_get_named_property(env, of, name, &out);
  return out;
}

void set(napi_env env, napi_value of, const char *name, napi_value value) {
  napi_set_named_property(env, of, name, value);
}

napi_value number(napi_env env, double value) {
  napi_value out = NULL;
  napi_create_double(env, value, &out);
  return out;
}

napi_value text(napi_env env, const char *data, size_t size) {
  napi_value out = NULL;
  napi_create_string_utf8(env, data, size, &out);
  return out;
}

int text_of(napi_env env, napi_value value, buffer *b) {
  size_t units = 0;
  b->size = 0;
  if (napi_get_value_string_utf16(env, value, NULL, 0, &units) != napi_ok) return 0;
  reserve(b, 3 * units + 1);
  return napi_get_value_string_utf8(env, value, b->data, b->cap, &b->size) == napi_ok;
}

int bytes_of(napi_env env, napi_value value, void **data, size_t *size) {
  napi_typedarray_type type;
  *data = NULL;
  *size = 0;
  return napi_get_typedarray_info(env, value, &type, size, data, NULL, NULL) == napi_ok && type == napi_uint8_array;
}

napi_value fail(napi_env env, state *s, lb_status status, const lb_error *error) {
  napi_value of = NULL, thrown = NULL;
  const char *message = error && error->message[0] ? error->message : lb_status_text(status);
  napi_value given[] = {number(env, status), text(env, message, NAPI_AUTO_LENGTH),
                        text(env, error ? error->where : "", NAPI_AUTO_LENGTH)};
  if (napi_get_reference_value(env, s->error, &of) == napi_ok &&
      napi_new_instance(env, of, 3, given, &thrown) == napi_ok)
    napi_throw(env, thrown);
  return NULL;
}

napi_value lent(napi_env env, state *s, char *made, size_t size) {
  if (!made) return fail(env, s, LB_CLOSED, NULL);
  napi_value out = text(env, made, size);
  lb_free(made);
  return out;
}

napi_value outcome_of(napi_env env, state *s, lb_status status, const lb_error *error) {
  return status == LB_OK ? NULL : fail(env, s, status, error);
}

void *external_of(napi_env env, napi_value value) {
  void *out = NULL;
  napi_get_value_external(env, value, &out);
  return out;
}

void export_all(napi_env env, napi_value exports, state *s, const function *functions) {
  for (napi_value out; functions->name; functions++) {
    napi_create_function(env, functions->name, NAPI_AUTO_LENGTH, functions->call, s, &out);
    napi_set_named_property(env, exports, functions->name, out);
  }
}

/* ---- What needs no engine ------------------------------------------------- */

/* status(code) -> [name, text, retryable] */
static napi_value status_of(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  int32_t code = LB_INTERNAL;
  napi_value out = NULL, retryable;
  napi_get_value_int32(env, a[0], &code);
  napi_get_boolean(env, lb_status_retryable(code), &retryable);
  napi_create_array_with_length(env, 3, &out);
  napi_set_element(env, out, 0, text(env, lb_status_name(code), NAPI_AUTO_LENGTH));
  napi_set_element(env, out, 1, text(env, lb_status_text(code), NAPI_AUTO_LENGTH));
  napi_set_element(env, out, 2, retryable);
  return out;
}

/* check(config) */
static napi_value check(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  lb_error error = {sizeof error, 0, "", ""};
  text_of(env, a[0], &s->body);
  lb_status status = lb_config_check(s->body.data, s->body.size, &error);
  return outcome_of(env, s, status, &error);
}

static napi_value schema(napi_env env, napi_callback_info info) {
  (void)info;
  return text(env, lb_config_schema(), NAPI_AUTO_LENGTH);
}

static napi_value build_info(napi_env env, napi_callback_info info) {
  (void)info;
  return text(env, lb_build_info(), NAPI_AUTO_LENGTH);
}

void export_facts(napi_env env, napi_value exports, state *s) {
  static const function kFunctions[] = {
      {"status", status_of}, {"check", check}, {"schema", schema}, {"buildInfo", build_info}, {NULL, NULL},
  };
  export_all(env, exports, s, kFunctions);
}
