/* Texts of our own error codes; one row per code of core/err.h. */
#include "core/err.h"

#include <stddef.h>

#include "core/mem.h"

static const char *const texts[] = {
    [-SQ_OK] = "success",
    [-SQ_EAGAIN] = "not now, try again later",
    [-SQ_ENOMEM] = "a limit is reached",
    [-SQ_EINVAL] = "malformed or invalid",
    [-SQ_ETOOBIG] = "longer than its limit",
    [-SQ_ENOTFOUND] = "not found",
    [-SQ_EEXIST] = "exists already",
    [-SQ_EIO] = "input/output error",
    [-SQ_ECLOSED] = "closed",
    [-SQ_ESTALE] = "superseded by a newer one",
    [-SQ_EDENIED] = "not authorised",
};

const char *
sq_strerror(int err)
{
	if (err > 0 || err <= -(int)SQ_ARRAY_LEN(texts))
		return "unknown error";
	return texts[-err];
}
