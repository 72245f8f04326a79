/* Lists of ports in annotations of service meshes: "80,443", "4000-5000". */
#ifndef SQ_K8S_PATCH_PORTS_H
#define SQ_K8S_PATCH_PORTS_H

#include <stdint.h>

#include "core/buf.h"

/* Appends the list with 'port' in it; unchanged if it has the port already, alone or in a range. */
void sq_ports_merge(const char *list, uint16_t port, struct sq_buf *out);

#endif
