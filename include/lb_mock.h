/*
 * lb_mock.h - a scripted upstream that speaks OpenAI's, Anthropic's and
 * Gemini's APIs over real sockets.
 *
 * For tests, examples and `lb mock`: it answers conversations, embeddings,
 * counts of tokens and lists of models like a provider would, in the dialect of
 * the path, and it can be told to think, to call tools, to be slow, to limit,
 * to fail, to cut and to stall.  It keeps a journal of what it saw, by which a
 * test can prove what reached it.
 *
 * Outside the ABI promise of lb.h, and not installed.  A mock runs on a thread
 * of its own; every function may be called from any thread, lb_mock_free alone
 * must be the last.
 *
 *     lb_mock *m; char err[256];
 *     const char options[] = "{\"name\": \"east\", \"latency_ms\": 20}";
 *     if (lb_mock_start(options, sizeof options - 1, &m, err, sizeof err) != 0) ...
 *     lb_mock_port(m) ...
 *     lb_mock_free(m);
 *
 * Over HTTP, for tests in other processes: GET /mock/journal, POST /mock/control.
 */
#ifndef LB_MOCK_H
#define LB_MOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lb_mock lb_mock;

/* All options, one a line, with defaults and meanings; for `lb mock --help`.  Never freed. */
const char *lb_mock_help(void);

/* Starts a mock by `options`, a JSON object; an empty text is {}.  It listens when this returns.  0, or -1 and a
   sentence in `err` (which may be NULL), ending in NUL. */
int32_t lb_mock_start(const char *options, size_t len, lb_mock **out, char *err, size_t err_cap);

/* The port it listens on. */
uint16_t lb_mock_port(const lb_mock *mock);

/* 0 once it has died of `die_after_calls` or was stopped, else 1. */
int32_t lb_mock_alive(const lb_mock *mock);

/* What it saw, as JSON text; `len` may be NULL.  Free it with lb_mock_free_text. */
char *lb_mock_journal(lb_mock *mock, size_t *len);
void lb_mock_free_text(char *text);

/* Behaves by `options` from the next call on: what they leave out is back at its default, and counting starts anew;
   calls under way keep what they began with.  `address`, `port` and `journal_*` cannot change here.  A mock that had
   died listens again on its port.  0, or -1 and a sentence in `err`. */
int32_t lb_mock_control(lb_mock *mock, const char *options, size_t len, char *err, size_t err_cap);

/* Closes the listener and resets all connections.  The journal can still be read. */
void lb_mock_stop(lb_mock *mock);

/* Stops if need be, joins the thread, frees.  NULL is fine. */
void lb_mock_free(lb_mock *mock);

#ifdef __cplusplus
}
#endif
#endif
