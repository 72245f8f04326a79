/* A resolver for tests, to be preloaded: names below ".example" lead where the variable NAMES says,
 * "good.example=127.0.0.2 bad.example=127.0.0.1", or, as "slow.example=hang", nowhere ever; all others as
 * before. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	resolve *real = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
	char *names = getenv("NAMES") != NULL ? strdup(getenv("NAMES")) : NULL, *save = NULL;
	size_t len = name != NULL ? strlen(name) : 0;
	const char *to = name;
	int rc;

	for (char *row = names != NULL ? strtok_r(names, " ", &save) : NULL; row != NULL && len > 0;
	     row = strtok_r(NULL, " ", &save)) {
		if (strncmp(row, name, len) == 0 && row[len] == '=')
			to = row + len + 1;
	}
	while (to != NULL && strcmp(to, "hang") == 0)
		pause();
	rc = real(to, service, hints, out);
	free(names);
	return rc;
}
