/* What a sidecar is configured with in tests of its sessions: no file, no address. */
#ifndef SQ_TEST_SUPPORT_SIDECAR_CFG_H
#define SQ_TEST_SUPPORT_SIDECAR_CFG_H

#include "sidecar/config/config.h"

/* Of the pod "pod" of workload "work" in the space "space"; with room for all that a test
 * does, and nothing switched off. */
struct sq_sidecar_cfg sidecar_cfg(void);

#endif
