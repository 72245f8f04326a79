/* Where a region's services are: sq_cred_domain() of net/cred/cred.h. */
#include <stddef.h>
#include <string.h>

#include "net/cred/cred.h"

enum { REGION_MAX = 32 };

static const struct {
	const char *prefix, *domain;
} partitions[] = {
    {"cn-", "amazonaws.com.cn"},
    {"us-isob-", "sc2s.sgov.gov"},
    {"us-isof-", "csp.hci.ic.gov"},
    {"us-iso-", "c2s.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk"},
    {"eusc-", "amazonaws.eu"},
};

const char *
sq_cred_domain(const char *region)
{
	size_t len = strlen(region);

	if (len == 0 || len > REGION_MAX || region[0] == '-' || region[len - 1] == '-' ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return NULL;
	for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++) {
		if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0)
			return partitions[i].domain;
	}
	return "amazonaws.com";
}
