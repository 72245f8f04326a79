#include "net/curl/san.h"

#include "core/tls.h"

bool
sq_san_check(void *ssl_ctx, const char *host)
{
	X509_VERIFY_PARAM *p = SSL_CTX_get0_param(ssl_ctx);

	X509_VERIFY_PARAM_set_hostflags(p, SQ_TLS_NAME_FLAGS);
	return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 ||
	    X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
}
