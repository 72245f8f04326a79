/* The folder of bridges.dir (file_dir.h): bridges that files declare (broker/bridge/cfg.h). */
#ifndef SQ_BROKER_CONFIG_BRIDGE_DIR_H
#define SQ_BROKER_CONFIG_BRIDGE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

struct sq_bridge_dir;
struct sq_bridge_file;

/* As sq_file_dir_new(). */
struct sq_bridge_dir *sq_bridge_dir_new(const char *path);
/* Frees it and nulls the pointer. */
void sq_bridge_dir_free(struct sq_bridge_dir **);
/* As sq_file_dir_look(); 'err' also names each bridge whose name an earlier file has. */
bool sq_bridge_dir_look(struct sq_bridge_dir *, bool asked, struct sq_buf *err);
/* The files, whose references are the folder's, valid until the next look: of two bridges of one name the
 * first counts.  '*whole': all that files say is among them, as it is where there is no folder; else a
 * file was never good, and nobody knows what it means to say. */
size_t
sq_bridge_dir_files(const struct sq_bridge_dir *, struct sq_bridge_file *const **v, bool *whole);
#endif
