/* Stands in front of the system's <curl/curl.h>: net/curl sees it, and the benchmark of libcurl. */
#ifndef SQ_SEES_CURL
#error "libcurl is not seen here: net/curl has its clients"
#else
#include_next <curl/curl.h>
#endif
