/* Texts with added tokens and sentinels in them: those are cut out, and what lies between is encoded. See parts.c. */
#ifndef T0_TEXT_PARTS_H
#define T0_TEXT_PARTS_H

#include "text/tokenizer.h"

/* t0_encode of a well-formed text with added tokens; with `sentinels`, <extra_id_k> is that sentinel too. */
t0_status t0_encode_parts(t0_encoder *encoder, t0_bytes text, bool sentinels, t0_buffer *ids, const t0_poll *poll, t0_error *err);

/* The same with places: t0_span to the end of `spans`, whose begin and end count in `normal`, empty before, which becomes the normalised
 * parts one after another, added tokens between them as they were found. */
t0_status t0_encode_parts_spans(t0_encoder *encoder, t0_bytes text, bool sentinels, t0_buffer *spans, t0_buffer *normal,
                                const t0_poll *poll, t0_error *err);

#endif
