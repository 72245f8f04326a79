/* Error codes of our own functions: 0 or one of these, always negative.
 *
 * A code names a failure inside the program.  The answer to a peer (an MQTT reason code, an HTTP
 * status) is decided by the module that speaks the protocol. */
#ifndef SQ_CORE_ERR_H
#define SQ_CORE_ERR_H

enum sq_err {
	SQ_OK = 0,
	SQ_EAGAIN = -1,  /* not now: wait for more input, room or credit */
	SQ_ENOMEM = -2,  /* a bound is reached, or memory is */
	SQ_EINVAL = -3,  /* malformed input or argument */
	SQ_ETOOBIG = -4, /* longer than its limit */
	SQ_ENOTFOUND = -5,
	SQ_EEXIST = -6,
	SQ_EIO = -7,      /* the operating system said no; see errno */
	SQ_ECLOSED = -8,  /* the peer or the owner has closed it */
	SQ_ESTALE = -9,   /* fenced: a newer epoch, run or attempt holds it */
	SQ_EDENIED = -10, /* not authorised */
};

#define SQ_MUST_CHECK __attribute__((warn_unused_result))
#define SQ_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* Returns a short English text for 'err', never NULL. */
const char *sq_strerror(int err);

#endif
