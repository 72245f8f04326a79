/* The log of one machine: a journal (store/journal/journal.h) behind the contract of store/log.h.
 *
 * Its writer is the process that has the directory, so a claim succeeds at once; the epoch is
 * sq_log_file_cfg.boots. */
#ifndef SQ_STORE_JOURNAL_LOG_FILE_H
#define SQ_STORE_JOURNAL_LOG_FILE_H

#include "store/log.h"

extern const struct sq_log_ops sq_log_file;

#endif
