/* What both files of the addon know: the state of an environment, and values to and from JS.  lb.js is the only caller,
 * so arguments are checked no further than memory safety asks: what is not of the right type reads as 0 or empty. */
#ifndef LB_NODE_ADDON_H
#define LB_NODE_ADDON_H

#define NAPI_VERSION 8
#include <lb.h>
#include <node_api.h>
#include <stdatomic.h>

typedef struct engine engine;

typedef struct {
  engine *owner;  /* NULL: free. */
  lb_call call;
  uint32_t next;  /* Of the free ones. */
  uint32_t tells; /* DONE of a success brings its fields, too. */
} slot;

typedef struct {
  char *data;
  size_t size, cap;
} buffer;

typedef struct {
  napi_threadsafe_function tsfn;
  napi_ref error; /* The class of errors. */
  atomic_int woken;
  engine *engines;
  slot *slots;
  uint32_t slots_count, slots_free; /* Free ones start at slots_free; slots_count is none. */
  uint32_t busy;                    /* Calls in flight and engines that close. */
  uint32_t engines_opened;
  buffer head, body, more; /* For the length of one function. */
} state;

#define ARGUMENTS(n)            \
  napi_value a[n];              \
  size_t argc = n;              \
  state *s;                     \
  if (napi_get_cb_info(env, info, &argc, a, NULL, (void **)&s) != napi_ok) return NULL

void reserve(buffer *b, size_t cap); /* Forgets what is there. */
void *external_of(napi_env env, napi_value value);
uint32_t u32_of(napi_env env, napi_value value);
uint64_t u64_of(napi_env env, napi_value value); /* A number or a bigint. */
int text_of(napi_env env, napi_value value, buffer *b); /* UTF-8. */
int bytes_of(napi_env env, napi_value value, void **data, size_t *size); /* Of a Uint8Array; lent. */
napi_value property(napi_env env, napi_value of, const char *name);
void set(napi_env env, napi_value of, const char *name, napi_value value);
napi_value number(napi_env env, double value);
napi_value text(napi_env env, const char *data, size_t size);
napi_value lent(napi_env env, state *s, char *made, size_t size); /* Text that is lb's to free; NULL: closed. */
/* Throws what lb says, as an error of JS's class; without a message, the text of the status. */
napi_value fail(napi_env env, state *s, lb_status status, const lb_error *error);
/* NULL, or throws. */
napi_value outcome_of(napi_env env, state *s, lb_status status, const lb_error *error);

typedef struct {
  const char *name;
  napi_callback call;
} function;

void export_all(napi_env env, napi_value exports, state *s, const function *functions); /* Up to one without a name. */
void export_facts(napi_env env, napi_value exports, state *s);
void export_balancer(napi_env env, napi_value exports, state *s);

#endif
