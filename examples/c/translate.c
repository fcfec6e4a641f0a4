/* translate FROM TO: a streamed answer from standard input in one dialect, to standard output in another.
 *
 * FROM and TO are openai, responses, anthropic or gemini.  Exits with 1 when the stream was cut or failed; how it was,
 * its tokens, and what could not be said stand on standard error.  For hosts that send requests themselves; what a
 * request becomes, and where to POST it, says lb_translate_request. */
#include <inttypes.h>
#include <lb.h>
#include <stdio.h>
#include <string.h>

static uint32_t dialect_of(const char *name) {
  if (strcmp(name, "openai") == 0) return LB_DIALECT_OPENAI;
  if (strcmp(name, "responses") == 0) return LB_DIALECT_RESPONSES;
  if (strcmp(name, "anthropic") == 0) return LB_DIALECT_ANTHROPIC;
  return strcmp(name, "gemini") == 0 ? LB_DIALECT_GEMINI : 0;
}

int main(int argc, char **argv) {
  lb_translate_options options = {sizeof options, LB_TRANSLATE_USAGE};
  lb_translated end = {sizeof end};
  lb_error error = {sizeof error};
  lb_translation *stream = NULL;
  char bytes[4096];
  const char *out;
  size_t size;
  if (argc != 3) return fprintf(stderr, "usage: translate FROM TO < STREAM\n"), 2;
  if (lb_translate_open(dialect_of(argv[1]), dialect_of(argv[2]), &options, &stream, &error))
    return fprintf(stderr, "%s\n", error.message), 2;
  while ((size = fread(bytes, 1, sizeof bytes, stdin)) > 0) { /* However it is cut. */
    if (lb_translate_feed(stream, bytes, size, &out, &size)) break;
    fwrite(out, 1, size, stdout);
  }
  lb_status status = lb_translate_end(stream, &end);
  fwrite(end.body, 1, end.body_len, stdout);
  fprintf(stderr, "%s, %" PRIu64 " tokens in, %" PRIu64 " out; lost: %s\n", lb_status_name(status), end.tokens_in,
          end.tokens_out, end.lost);
  lb_free(end.body);
  lb_translate_free(stream);
  return status != LB_OK;
}
