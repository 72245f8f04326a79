/* CRC-32C (Castagnoli), by the processor's instruction where it has one. */
#ifndef SQ_CORE_CRC32C_H
#define SQ_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes whose last 'n' are at 'p'; 'crc' is the checksum of those before, 0 for
 * none.  Thread: any. */
uint32_t sq_crc32c(uint32_t crc, const void *p, size_t n);
/* sq_crc32c() from tables, for processors without the instruction, and for its test. */
uint32_t sq_crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
