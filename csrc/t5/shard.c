/* Training: the gradient of some examples of a batch, microbatch by microbatch:
 *
 *     states = encoder(sources),  kv = projections of states,  out = decoder(start, target[0 .. T-2]; kv)
 *     loss_sum += sum over target tokens of the loss of head(out),  gradients += scale * d(loss_sum)/dw
 *
 * A microbatch is a run of whole examples with few enough rows that activations stay near the processor; where they begin
 * depends on lengths alone. Memory is one workspace, sized for the largest microbatch before any number is computed. */
#include "t5/shard.h"

#include "t5/frozen.h"
#include "t5/groups.h"

#include <assert.h>
#include <string.h>

/* ---- cutting ------------------------------------------------------------------------------------------------------ */

/* One beyond the last example of the microbatch that begins at `first`. */
static size_t microbatch_end(const t0_shard *shard, size_t first) {
    const int64_t *s = shard->sources.offsets, *t = shard->targets.offsets;
    size_t at = first + 1;
    while (at < shard->end && (size_t)(s[at + 1] - s[first] + t[at + 1] - t[first]) <= shard->microbatch_rows) at++;
    return at;
}

static void plan_stacks(t0_shard *shard) {
    t0_microbatch *m = &shard->microbatch;
    m->encoder_shape = (t0_stack_shape){.n_sequences = m->n_examples, .offsets = m->source_offsets};
    m->decoder_shape = (t0_stack_shape){.decoder = true,
                                        .n_sequences = m->n_examples,
                                        .offsets = m->target_offsets,
                                        .source_offsets = m->source_offsets};
    t0_stack_plan(&m->encoder, &shard->pass, &m->encoder_shape);
    t0_stack_plan(&m->decoder, &shard->pass, &m->decoder_shape);
    m->loss = shard->loss;
    m->loss.chunk_rows = t0_logit_rows(shard->pass.model, m->n_target_rows);
}

/* Examples first .. end - 1 become the microbatch, but for their ids; `masks` is where its attention weights begin, and moves
 * behind them. */
static void plan_microbatch(t0_shard *shard, size_t first, size_t end, t0_mask_position *masks) {
    t0_microbatch *m = &shard->microbatch;
    const int64_t *source = shard->sources.offsets + first, *target = shard->targets.offsets + first;
    assert(first < end && end <= shard->end);
    m->n_examples = end - first;
    m->n_source_rows = (size_t)(source[m->n_examples] - source[0]);
    m->n_target_rows = (size_t)(target[m->n_examples] - target[0]);
    t0_group_offsets(m->source_offsets, shard->sources.offsets, first, end);
    t0_group_offsets(m->target_offsets, shard->targets.offsets, first, end);
    plan_stacks(shard);
    m->encoder.first_row = (uint64_t)source[0];
    m->decoder.first_row = m->loss.first_row = (uint64_t)target[0];
    m->encoder.first_self_p = masks->encoder_p;
    m->decoder.first_self_p = masks->decoder_p;
    m->decoder.first_cross_p = masks->cross_p;
    masks->encoder_p += m->encoder.self_p_size;
    masks->decoder_p += m->decoder.self_p_size;
    masks->cross_p += m->decoder.cross_p_size;
}

/* The ids of the microbatch, whose first example is `first`. */
static void take_ids(t0_shard *shard, size_t first) {
    t0_microbatch *m = &shard->microbatch;
    assert(m->decoder_ids && shard->sources.ids && shard->targets.ids);
    m->source_ids = shard->sources.ids + shard->sources.offsets[first];
    m->targets = shard->targets.ids + shard->targets.offsets[first];
    for (size_t b = 0; b < m->n_examples; b++) {
        const size_t begin = (size_t)m->target_offsets[b], end = (size_t)m->target_offsets[b + 1];
        m->decoder_ids[begin] = shard->pass.model->config.decoder_start_id;
        for (size_t n = begin + 1; n < end; n++) m->decoder_ids[n] = m->targets[n - 1];
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

/* Room for n examples with n_target_rows. */
static void carve_sequences(t0_microbatch *m, t0_carver *at, size_t n, size_t n_target_rows) {
    m->source_offsets = t0_carve_items(at, n + 1, sizeof *m->source_offsets);
    m->target_offsets = t0_carve_items(at, n + 1, sizeof *m->target_offsets);
    m->decoder_ids = t0_carve_items(at, n_target_rows, sizeof *m->decoder_ids);
}

/* The stacks' memory, then the states between them. The encoder's way back begins when the decoder's memory is free. */
static void carve_microbatch(t0_shard *shard, t0_carver *at) {
    t0_microbatch *m = &shard->microbatch;
    const t0_model *model = shard->pass.model;
    const size_t d = (size_t)model->config.d_model, s = m->n_source_rows, t = m->n_target_rows;
    t0_stack_carve(&m->encoder, at);
    t0_carver decoding = *at, encoding_back = *at;
    t0_stack_carve(&m->decoder, &decoding);
    t0_backward_carve(&m->decoder_back, &m->decoder, &decoding);
    t0_backward_carve(&m->encoder_back, &m->encoder, &encoding_back);
    at->used = t0_size_max(decoding.used, encoding_back.used);
    m->states = t0_carve(at, s, d);
    m->dstates = t0_carve(at, s, d);
    m->cross_kv = t0_carve(at, t0_cross_size(model, s), 1);
    m->dkv = t0_carve(at, s, 2 * t0_config_inner(&model->config));
    m->out = t0_carve(at, t, d);
    m->dout = t0_carve(at, t, d);
    m->loss.logits = t0_carve(at, m->loss.chunk_rows, (size_t)model->config.vocab_size);
    m->loss.log_likelihood = t0_carve(at, m->loss.chunk_rows, 1);
    t0_frozen_carve(&shard->pass, t0_size_max(s, t), at);
}

static t0_status reserve_sequences(t0_shard *shard, t0_error *err) {
    size_t n = 0, n_target_rows = 0;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = microbatch_end(shard, first);
        const size_t rows = (size_t)(shard->targets.offsets[end] - shard->targets.offsets[first]);
        n = t0_size_max(n, end - first);
        n_target_rows = t0_size_max(n_target_rows, rows);
    }
    t0_carver size = {0};
    carve_sequences(&shard->microbatch, &size, n, n_target_rows);
    T0_TRY(t0_workspace_reserve(&shard->sequences, size.used, err));
    t0_carver at = {.base = shard->sequences.data};
    carve_sequences(&shard->microbatch, &at, n, n_target_rows);
    return T0_OK;
}

t0_status t0_shard_plan(t0_shard *shard, const t0_pass *pass, t0_error *err) {
    assert(shard->first < shard->end && shard->end <= shard->sources.n && shard->sources.n == shard->targets.n);
    shard->pass = *pass;
    shard->pass.exec = shard->exec;
    T0_TRY(reserve_sequences(shard, err));
    shard->stop = shard->start;
    shard->n_floats = 0;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = microbatch_end(shard, first);
        plan_microbatch(shard, first, end, &shard->stop);
        t0_carver size = {0};
        carve_microbatch(shard, &size);
        shard->n_floats = t0_size_max(shard->n_floats, size.used);
    }
    return T0_OK;
}

t0_status t0_shard_reserve(t0_shard *shard, t0_error *err) { return t0_workspace_reserve(&shard->workspace, shard->n_floats, err); }

/* ---- running ------------------------------------------------------------------------------------------------------ */

static t0_status run_microbatch(t0_shard *shard) {
    t0_microbatch *m = &shard->microbatch;
    t0_error *err = &shard->error;
    float *g = shard->gradients;
    T0_TRY(t0_encoder_forward(&m->encoder, m->states, m->source_ids, err));
    t0_cross_forward(&shard->pass, m->cross_kv, m->states, m->n_source_rows, m->encoder.first_row);
    T0_TRY(t0_decoder_forward(&m->decoder, m->out, m->decoder_ids, m->cross_kv, err));
    T0_TRY(t0_loss_backward(&shard->pass, &m->loss, &shard->loss_sum, g, m->dout, m->out, m->targets, m->n_target_rows, err));
    if (shard->pass.model->head != shard->pass.model->shared) t0_pass_finish(&shard->pass, shard->pass.model->head);
    const t0_cross cross = {.kv = m->cross_kv,
                            .states = m->states,
                            .dkv = m->dkv,
                            .dstates = m->dstates,
                            .first_row = m->encoder.first_row};
    T0_TRY(t0_decoder_backward(&m->decoder_back, g, &cross, m->dout, m->decoder_ids, err));
    return t0_encoder_backward(&m->encoder_back, g, m->dstates, m->source_ids, err);
}

static t0_status run_microbatches(t0_shard *shard) {
    t0_mask_position masks = shard->start;
    for (size_t first = shard->first, end; first < shard->end; first = end) {
        end = microbatch_end(shard, first);
        plan_microbatch(shard, first, end, &masks);
        take_ids(shard, first);
        t0_carver at = {.base = shard->workspace.data};
        carve_microbatch(shard, &at);
        assert(at.used <= shard->workspace.capacity);
        shard->pass.fresh = shard->fresh && first == shard->first;
        shard->pass.final_from = end == shard->end ? shard->final_from : NULL;
        T0_TRY(run_microbatch(shard));
    }
    return T0_OK;
}

/* Gigabytes, which are touched for the first time in the first step: Ctrl-C is asked for in between. */
static t0_status clear(t0_shard *shard, float *x, size_t n) {
    const size_t at_once = (size_t)4 << 20;
    for (size_t at = 0; at < n; at += at_once) {
        T0_TRY(t0_exec_check(shard->exec, &shard->error));
        memset(x + at, 0, t0_size_min(n - at, at_once) * sizeof *x);
    }
    return T0_OK;
}

static bool is_bias_table(const t0_stack *stack, const t0_tensor *tensor) {
    for (size_t l = 0; l < stack->n_blocks; l++)
        if (stack->blocks[l].bias_table == tensor->offset) return true;
    return false;
}

/* Whether the gradient of a tensor is a product's, which a fresh pass overwrites. */
static bool is_of_product(const t0_model *model, const t0_tensor *tensor) {
    if (tensor->offset == model->shared) return model->head == model->shared;
    return !tensor->is_vector && !is_bias_table(&model->encoder, tensor) && !is_bias_table(&model->decoder, tensor);
}

static t0_status clear_gradients(t0_shard *shard) {
    const t0_model *model = shard->pass.model;
    if (!shard->fresh || shard->pass.adapter) return clear(shard, shard->gradients, shard->n_gradients);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const t0_tensor *tensor = &model->tensors[i];
        if (!is_of_product(model, tensor)) T0_TRY(clear(shard, shard->gradients + tensor->offset, tensor->rows * tensor->columns));
    }
    return T0_OK;
}

void t0_shard_run(t0_shard *shard) {
    shard->loss_sum = 0.0;
    shard->status = clear_gradients(shard);
    if (shard->status == T0_OK) shard->status = run_microbatches(shard);
}

void t0_shard_free(t0_shard *shard) {
    t0_workspace_free(&shard->sequences);
    t0_workspace_free(&shard->workspace);
}
