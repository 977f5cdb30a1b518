/* Inference: the encoder over many sequences, group by group. Only csrc/t5 includes this.
 *
 *     t0_encoding encoding = {.model = model, .exec = exec, .sources = sources, .end = sources->n};
 *     t0_encoding_carve(&encoding, &at);               for sizes, then for places: see workspace.h
 *     t0_encode_groups(&encoding, states, err);
 *
 * A group is a run of sequences with few enough tokens for one pass (t0_pass_rows). Failures are those of t0_infer_forward. */
#ifndef T0_T5_ENCODING_H
#define T0_T5_ENCODING_H

#include "nn/exec.h"
#include "t5/t5.h"
#include "t5/workspace.h"

typedef struct t0_encoding {
    const t0_model *model;
    t0_exec *exec;
    const t0_ragged *sources; /* a checked batch, borrowed ... */
    size_t first, end;        /* ... of which sequences first .. end - 1 are encoded */
    t0_range *rows;           /* places: [most sequences of a group] */
    t0_adapter_run *runs;     /* [the same], where some have adapters */
    float *memory;            /* of the largest pass */
} t0_encoding;

void t0_encoding_carve(t0_encoding *encoding, t0_carver *at);
/* out [tokens of the sequences, D]: states after the final norm. */
t0_status t0_encode_groups(const t0_encoding *encoding, float *out, t0_error *err);

#endif
