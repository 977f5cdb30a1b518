/* Inference: a decoder at work on some sources. Tokens are added row by row, each behind any earlier one.
 *
 * Rows form trees: a row's history is its parent, the parent's parent and so on, so hypotheses that share a beginning share its
 * keys and values, and reordering beams copies nothing. Sources are encoded and their cross-attention keys and values projected
 * once, when the decoder is made. It serves one call at a time. */
#ifndef T0_T5_DECODER_H
#define T0_T5_DECODER_H

#include "t5/t5.h"

typedef struct t0_decoder t0_decoder;

/* Borrows the model. */
t0_status t0_decoder_new(t0_decoder **out, const t0_model *model, t0_exec *exec, const t0_ragged *sources, const t0_poll *poll,
                         t0_error *err);
void t0_decoder_free(t0_decoder *decoder);

/* Adds n rows: token ids[i] of source source_of[i] behind row parents[i], -1 for none. They are numbered on from
 * t0_decoder_rows; logits [n, V] of what follows each. After a failure no row has been added. */
t0_status t0_decoder_step(t0_decoder *decoder, t0_exec *exec, float *logits, size_t n, const int32_t *ids, const int32_t *source_of,
                          const int64_t *parents, const t0_poll *poll, t0_error *err);
size_t t0_decoder_rows(const t0_decoder *decoder);

#endif
