/*
 * What `run` tells the two drivers to do, as text with counted bytes: nothing in it needs escapes, so that C reads it
 * as easily as C++. A driver reads all of it from standard input before it begins.
 *
 *     config SIZE                       the document of the engine; SIZE bytes and LF follow
 *     upstream NAME PORT CONNECT DNS    simulator only: what connections to it meet, and where its name leads
 *     script NAME FIRST LAST            simulator only: requests FIRST to LAST (0: all further ones) are answered by
 *     send SIZE | wait MS | end | reset | stall          these, up to the next line that is none of them
 *     call AT ID LEAVE_MS PAUSE_MS TEXT_SIZE HEAD_SIZE BODY_SIZE
 *                                       TEXT (the caller leaves when it has come), HEAD and BODY follow, and LF
 *     configure AT SIZE                 a new document
 *     close AT DRAIN_MS
 *     stop AT NAME | start AT NAME      the upstream dies, and is there again
 *     wait AT MS
 *
 * AT is in milliseconds from the beginning; -1: when all calls have ended. What happens is written to standard output:
 *
 *     asked ID TIME
 *     head ID TIME STATUS SIZE          header lines follow, and LF, as in all that have a SIZE
 *     data ID TIME SIZE
 *     done ID TIME STATUS_NAME CODE RETRY_AFTER_MS ATTEMPTS UPSTREAM SIZE       the message
 *     left ID TIME | resumed ID TIME | refused ID TIME STATUS_NAME | configured TIME STATUS_NAME | ended TIME
 *     now stop|start NAME               sockets only: whoever plays the upstreams does it, then writes a line
 *     request NAME CONNECTION TIME SIZE
 *     opened NAME CONNECTION TIME | closed NAME CONNECTION TIME
 *     sent NAME CONNECTION BYTES        simulator only, as all of upstreams: over sockets they know it themselves
 *     unrest SIZE                       simulator only: what has not been given back
 *
 * TIME is in microseconds: of the monotonic clock, or of virtual time.
 */
#ifndef CONDUCT_STEPS_H
#define CONDUCT_STEPS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next line, cut into at most `cap` words, in `line`; 0 at the end. */
static inline int read_words(char *line, size_t size, char **words, int cap) {
  int count = 0;
  if (!fgets(line, (int)size, stdin)) return 0;
  for (char *at = strtok(line, " \n"); at && count < cap; at = strtok(NULL, " \n")) words[count++] = at;
  return count;
}

/* `size` bytes and an LF; ends in NUL besides.  The caller frees it. */
static inline char *read_bytes(size_t size) {
  char *bytes = (char *)malloc(size + 1);
  if (!bytes || fread(bytes, 1, size, stdin) != size || getchar() != '\n') {
    fprintf(stderr, "the steps end too early\n");
    exit(2);
  }
  bytes[size] = 0;
  return bytes;
}

static inline void write_bytes(const void *bytes, size_t size) {
  printf(" %zu\n", size);
  fwrite(bytes, 1, size, stdout);
  putchar('\n');
}

#endif
