/* Fuzzes the AdmissionReview codec: any bytes are a review or one reason, and what is a
 * review can be answered. */
#include <jansson.h>
#include <stdlib.h>

#include "k8s/injector/review.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct sq_review r;
	struct sq_buf why = {0}, out = {0};
	int rc = sq_review_read(&r, data, size, &why);
	json_t *back;

	if ((rc == 0) != (sq_buf_len(&why) == 0))
		abort();
	if (rc == 0) {
		sq_review_answer(&r,
		    &(struct sq_review_verdict){.code = 403, .message = r.name, .patch = r.object},
		    &out);
		back = json_loadb((const char *)sq_buf_data(&out), sq_buf_len(&out), 0, NULL);
		if (back == NULL)
			abort();
		json_decref(back);
		sq_review_fini(&r);
	}
	sq_buf_fini(&why);
	sq_buf_fini(&out);
	return 0;
}
