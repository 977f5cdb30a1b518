/* Protobuf's numbers, for model files made up by tests: seven bits a byte, the lowest first, the top bit where more follow. */
#ifndef VARINT_H
#define VARINT_H

#include "text/parts.h"

#include <stdint.h>

static void add_varint(t0_buffer *out, uint64_t n) {
    for (; n > 127; n >>= 7) {
        const uint8_t byte = (uint8_t)(n & 127) | 128;
        t0_buffer_add(out, &byte, 1);
    }
    const uint8_t last = (uint8_t)n;
    t0_buffer_add(out, &last, 1);
}

#endif
