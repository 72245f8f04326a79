/* Checks of --check-config besides the keys: all that a start needs. */
#ifndef SQ_K8S_INJECTOR_CONFIG_CHECK_H
#define SQ_K8S_INJECTOR_CONFIG_CHECK_H

#include "core/buf.h"
#include "k8s/injector/config.h"

/* Appends a line for each problem, and remarks to 'notes'; nothing is open afterwards. */
void sq_injector_config_check(
    const struct sq_injector_config *, struct sq_buf *notes, struct sq_buf *problems);

#endif
