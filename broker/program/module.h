/* The module of a log's driver, which the program loads: its libraries are none of the program's. */
#ifndef SQ_BROKER_PROGRAM_MODULE_H
#define SQ_BROKER_PROGRAM_MODULE_H

#include "core/buf.h"
#include "store/shared/driver.h"

/* Loads the module of that file's name from beside the program, or from lib/sqmqos beside its folder,
 * for the rest of the process.  NULL with a line in 'err', which names 'package' where there is none. */
const struct sq_shared_module *
sq_main_module(const char *name, const char *package, struct sq_buf *err);

#endif
