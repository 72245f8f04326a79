/* A program whose store loses its power; for test_powerfail.py.  Reads commands
 * from stdin, one per line, and answers each with a line when it is done:
 *
 *   open FILE [dsync]    the file that the next commands mean, made where it is missing
 *   write OFFSET N TEXT  N bytes, TEXT repeated, by pwrite()
 *   writev OFFSET N TEXT the same by lseek() and writev()
 *   append N TEXT        the same by write() at the end
 *   sync | size N | allocate N
 *   rename A B | unlink A | syncdir
 *   map                  a writable mapping of the file */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static int file = -1;

static void
check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void
fill(char *out, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		out[i] = text[i % strlen(text)];
}

static void
put(const char *how, long offset, size_t n, const char *text)
{
	char *bytes = malloc(n);
	struct iovec v[2] = {{bytes, n / 2}, {bytes + n / 2, n - n / 2}};

	fill(bytes, n, text);
	if (strcmp(how, "write") == 0) {
		check(pwrite(file, bytes, n, offset) == (ssize_t)n, how);
	} else {
		check(
		    lseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET) >= 0 || offset < 0, how);
		if (offset < 0)
			check(lseek(file, 0, SEEK_END) >= 0, how);
		check(writev(file, v, 2) == (ssize_t)n, how);
	}
	free(bytes);
}

static void
command(char *line)
{
	char verb[32] = "", a[256] = "", b[256] = "", c[256] = "";

	sscanf(line, "%31s %255s %255s %255s", verb, a, b, c);
	if (strcmp(verb, "open") == 0) {
		if (file >= 0)
			close(file);
		file = open(a, O_RDWR | O_CREAT | (b[0] ? O_DSYNC : 0), 0644);
		check(file >= 0, a);
	} else if (strncmp(verb, "write", 5) == 0) {
		put(verb, atol(a), (size_t)atol(b), c);
	} else if (strcmp(verb, "append") == 0) {
		put(verb, -1, (size_t)atol(a), b);
	} else if (strcmp(verb, "sync") == 0) {
		check(fdatasync(file) == 0, verb);
	} else if (strcmp(verb, "size") == 0) {
		check(ftruncate(file, atol(a)) == 0, verb);
	} else if (strcmp(verb, "allocate") == 0) {
		check(posix_fallocate(file, 0, atol(a)) == 0, verb);
	} else if (strcmp(verb, "rename") == 0) {
		check(rename(a, b) == 0, verb);
	} else if (strcmp(verb, "unlink") == 0) {
		check(unlink(a) == 0, verb);
	} else if (strcmp(verb, "syncdir") == 0) {
		int folder = open(".", O_RDONLY | O_DIRECTORY);

		check(folder >= 0 && fsync(folder) == 0, verb);
		close(folder);
	} else if (strcmp(verb, "map") == 0) {
		check(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED,
		    verb);
	} else {
		check(0, verb);
	}
}

int
main(void)
{
	char line[1024];

	while (fgets(line, sizeof line, stdin) != NULL) {
		command(line);
		puts("done");
		fflush(stdout);
	}
	return 0;
}
