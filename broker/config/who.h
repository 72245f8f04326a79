/* Who may come to the broker, said in its log. */
#ifndef SQ_BROKER_CONFIG_WHO_H
#define SQ_BROKER_CONFIG_WHO_H

#include "broker/config/config.h"

/* Logs by what callers are known, their bounds, and what is open to everybody or kept by nobody.  The limit of memory is set. */
void sq_broker_config_say_who(const struct sq_broker_config *);

#endif
