/* CRC-32C (Castagnoli), by the processor's instruction where it has one. */
#ifndef SQ_CORE_CRC32C_H
#define SQ_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of 'n' bytes that follow those of which 'crc' is one; 0 to begin. */
uint32_t sq_crc32c(uint32_t crc, const void *p, size_t n);
/* The same from tables, for processors without the instruction and for its test. */
uint32_t sq_crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
