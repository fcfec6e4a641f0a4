/*
 * Stands before the system's getaddrinfo, linked into a program or preloaded: no test asks a real name server. What
 * look-ups of a name find stands in CONDUCT_NAMES, "name=fail,127.0.0.1;name=...": one after the other, and the last
 * from then on. Every other name and address goes to the system's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 16 };

static atomic_int look_ups[NAMES_MAX];

typedef int (*look_up)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  look_up real = (look_up)(size_t)dlsym(RTLD_NEXT, "getaddrinfo");
  const char *table = getenv("CONDUCT_NAMES");
  size_t size = host ? strlen(host) : 0;
  int name = 0;
  for (const char *at = table; at && host; name++) {
    const char *end = strchr(at, ';');
    if (strncmp(at, host, size) != 0 || at[size] != '=') {
      at = end ? end + 1 : NULL;
      continue;
    }
    const char *answer = at + size + 1;
    int before = name < NAMES_MAX ? atomic_fetch_add(&look_ups[name], 1) : 0;
    for (const char *next = answer; before > 0; before--) {
      next = strchr(answer, ',');
      if (!next || (end && next > end)) break;
      answer = next + 1;
    }
    char address[64];
    snprintf(address, sizeof address, "%.*s", (int)strcspn(answer, ",;"), answer);
    if (strcmp(address, "fail") == 0) return EAI_NONAME;
    return real(address, service, hints, found);
  }
  return real(host, service, hints, found);
}
