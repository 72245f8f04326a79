/* What all transfers by libcurl have in common.  For the sources of net/curl alone. */
#ifndef SQ_NET_CURL_EASY_H
#define SQ_NET_CURL_EASY_H

#include "net/curl/library.h"

/* Sets a new handle up: HTTP/1.1 alone, of the schemes http and https; paths as they are; TLS 1.2 or
 * newer, with whoever it is verified; no redirects, no signals, no questions on a terminal.  Of the
 * environment nothing is read, no .netrc either; 'proxy' NULL: none.  A lookup of a name that is under
 * way when the transfer ends is left behind, and nobody waits for it. */
CURLcode sq_easy_set_up(const struct sq_curl *, CURL *, const char *proxy);

/* Adds a line, "name: value", to a list of headers, which begins with NULL. */
void sq_easy_line(const struct sq_curl *, struct curl_slist **, const char *line);
/* Wipes the lines, which may have secrets, frees them, and nulls the pointer. */
void sq_easy_lines_free(const struct sq_curl *, struct curl_slist **);

#endif
