/* The gradient of some examples of a batch, piece by piece:
 *
 *     states = encoder(sources),  kv = projections of states,  out = decoder(start, target[0 .. T-2]; kv)
 *     loss_sum += sum over target tokens of the loss of head(out),  gradients += scale * d(loss_sum)/dw
 *
 * A piece is a run of whole examples with few enough rows that activations stay near the processor; where pieces begin
 * depends on lengths alone. Memory is one workspace, sized for the largest piece before any number is computed. */
#include "t5/shard.h"

#include "t5/groups.h"

#include <string.h>

/* ---- cutting ------------------------------------------------------------------------------------------------------ */

/* One beyond the last example of the piece that begins at `first`. */
static size_t piece_end(const t0_shard *shard, size_t first) {
    const int64_t *s = shard->sources.offsets, *t = shard->targets.offsets;
    size_t at = first + 1;
    while (at < shard->end && (size_t)(s[at + 1] - s[first] + t[at + 1] - t[first]) <= shard->piece_rows) at++;
    return at;
}

static void shift_right(const t0_piece *piece, int32_t start) {
    for (size_t b = 0; b < piece->n_examples; b++) {
        const size_t first = (size_t)piece->target_offsets[b], end = (size_t)piece->target_offsets[b + 1];
        piece->decoder_ids[first] = start;
        for (size_t n = first + 1; n < end; n++) piece->decoder_ids[n] = piece->targets[n - 1];
    }
}

/* Room for n examples with n_target_rows; whole numbers lie in pieces of floats: int64_t takes two, int32_t one. */
static void carve_sequences(t0_piece *piece, t0_carver *at, size_t n, size_t n_target_rows) {
    piece->source_offsets = (int64_t *)(void *)t0_carve(at, n + 1, 2);
    piece->target_offsets = (int64_t *)(void *)t0_carve(at, n + 1, 2);
    piece->decoder_ids = (int32_t *)(void *)t0_carve(at, n_target_rows, 1);
}

static void plan(t0_shard *shard) {
    t0_piece *p = &shard->piece;
    p->encoder_shape = (t0_stack_shape){.n_sequences = p->n_examples, .offsets = p->source_offsets};
    p->decoder_shape = (t0_stack_shape){.decoder = true,
                                        .n_sequences = p->n_examples,
                                        .offsets = p->target_offsets,
                                        .source_offsets = p->source_offsets};
    t0_stack_plan(&p->encoder, &shard->pass, &p->encoder_shape);
    t0_stack_plan(&p->decoder, &shard->pass, &p->decoder_shape);
    t0_backward_plan(&p->encoder_back, &p->encoder);
    t0_backward_plan(&p->decoder_back, &p->decoder);
    p->loss = shard->loss;
    p->loss.chunk_rows = t0_logit_rows(shard->pass.model, p->n_target_rows);
}

/* Examples first .. end - 1 become the piece; `masks` is where its attention weights begin, and moves behind them. */
static void take(t0_shard *shard, size_t first, size_t end, t0_mask_position *masks) {
    t0_piece *p = &shard->piece;
    const int64_t *source = shard->sources.offsets + first, *target = shard->targets.offsets + first;
    p->n_examples = end - first;
    p->n_source_rows = (size_t)(source[p->n_examples] - source[0]);
    p->n_target_rows = (size_t)(target[p->n_examples] - target[0]);
    p->source_ids = shard->sources.ids + source[0];
    p->targets = shard->targets.ids + target[0];
    t0_group_offsets(p->source_offsets, shard->sources.offsets, first, end);
    t0_group_offsets(p->target_offsets, shard->targets.offsets, first, end);
    shift_right(p, shard->pass.model->config.decoder_start_id);
    plan(shard);
    p->encoder.first_row = (uint64_t)source[0];
    p->decoder.first_row = (uint64_t)target[0];
    p->encoder.first_self_p = masks->encoder_p;
    p->decoder.first_self_p = masks->decoder_p;
    p->decoder.first_cross_p = masks->cross_p;
    masks->encoder_p += p->encoder.self_p_size;
    masks->decoder_p += p->decoder.self_p_size;
    masks->cross_p += p->decoder.cross_p_size;
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* Behind `at`: the stacks' memory, then the states between them. The encoder's way back begins when the decoder's memory is free. */
static void carve_workspace(t0_shard *shard, t0_carver *at) {
    t0_piece *p = &shard->piece;
    const t0_model *model = shard->pass.model;
    const size_t d = (size_t)model->config.d_model, s = p->n_source_rows, t = p->n_target_rows;
    t0_carver decoders = {0};
    t0_carve(&decoders, p->decoder.n_floats, 1);
    t0_carve(&decoders, p->decoder_back.n_floats, 1);
    float *encoder = t0_carve(at, p->encoder.n_floats, 1), *turns = t0_carve(at, t0_size_max(decoders.used, p->encoder_back.n_floats), 1);
    p->states = t0_carve(at, s, d);
    p->dstates = t0_carve(at, s, d);
    p->cross_kv = t0_carve(at, t0_cross_size(model, s), 1);
    p->dkv = t0_carve(at, s, 2 * t0_config_inner(&model->config));
    p->out = t0_carve(at, t, d);
    p->dout = t0_carve(at, t, d);
    p->loss.logits = t0_carve(at, p->loss.chunk_rows, (size_t)model->config.vocab_size);
    p->loss.log_likelihood = t0_carve(at, p->loss.chunk_rows, 1);
    if (!at->base) return;
    t0_stack_place(&p->encoder, encoder);
    t0_backward_place(&p->encoder_back, turns);
    decoders = (t0_carver){.base = turns};
    t0_stack_place(&p->decoder, t0_carve(&decoders, p->decoder.n_floats, 1));
    t0_backward_place(&p->decoder_back, t0_carve(&decoders, p->decoder_back.n_floats, 1));
}

static t0_status reserve_sequences(t0_shard *shard, t0_error *err) {
    size_t n = 0, n_target_rows = 0;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = piece_end(shard, first);
        const size_t rows = (size_t)(shard->targets.offsets[end] - shard->targets.offsets[first]);
        n = t0_size_max(n, end - first);
        n_target_rows = t0_size_max(n_target_rows, rows);
    }
    t0_carver size = {0};
    carve_sequences(&shard->piece, &size, n, n_target_rows);
    T0_TRY(t0_workspace_reserve(&shard->sequences, size.used, err));
    t0_carver at = {.base = shard->sequences.data};
    carve_sequences(&shard->piece, &at, n, n_target_rows);
    return T0_OK;
}

t0_status t0_shard_prepare(t0_shard *shard, const t0_pass *pass, t0_error *err) {
    shard->pass = *pass;
    shard->pass.exec = shard->exec;
    T0_TRY(reserve_sequences(shard, err));
    shard->stop = shard->start;
    size_t most = 0;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = piece_end(shard, first);
        take(shard, first, end, &shard->stop);
        t0_carver size = {0};
        carve_workspace(shard, &size);
        most = t0_size_max(most, size.used);
    }
    return t0_workspace_reserve(&shard->workspace, most, err);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static t0_status run_piece(t0_shard *shard) {
    t0_piece *p = &shard->piece;
    t0_error *err = &shard->error;
    float *g = shard->gradients;
    T0_TRY(t0_encoder_forward(&p->encoder, p->states, p->source_ids, err));
    t0_cross_forward(&shard->pass, p->cross_kv, p->states, p->n_source_rows);
    T0_TRY(t0_decoder_forward(&p->decoder, p->out, p->decoder_ids, p->cross_kv, err));
    T0_TRY(t0_loss_backward(&shard->pass, &p->loss, &shard->loss_sum, g, p->dout, p->out, p->targets, p->n_target_rows, err));
    const t0_cross cross = {.kv = p->cross_kv, .states = p->states, .dkv = p->dkv, .dstates = p->dstates};
    T0_TRY(t0_decoder_backward(&p->decoder_back, g, &cross, p->dout, p->decoder_ids, err));
    return t0_encoder_backward(&p->encoder_back, g, p->dstates, p->source_ids, err);
}

static t0_status run_pieces(t0_shard *shard) {
    t0_mask_position masks = shard->start;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = piece_end(shard, first);
        take(shard, first, end, &masks);
        t0_carver at = {.base = shard->workspace.data};
        carve_workspace(shard, &at);
        T0_TRY(run_piece(shard));
    }
    return T0_OK;
}

/* Gigabytes, which are touched for the first time in the first step: Ctrl-C is asked for in between. */
static t0_status clear_gradients(t0_shard *shard) {
    const size_t n = shard->pass.model->n_weights, at_once = (size_t)4 << 20;
    for (size_t at = 0; at < n; at += at_once) {
        T0_TRY(t0_exec_check(shard->exec, &shard->error));
        memset(shard->gradients + at, 0, (n - at < at_once ? n - at : at_once) * sizeof *shard->gradients);
    }
    return T0_OK;
}

void t0_shard_run(t0_shard *shard) {
    shard->loss_sum = 0.0;
    shard->status = clear_gradients(shard);
    if (shard->status == T0_OK) shard->status = run_pieces(shard);
}

void t0_shard_free(t0_shard *shard) {
    t0_workspace_free(&shard->sequences);
    t0_workspace_free(&shard->workspace);
}
