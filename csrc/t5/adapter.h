/* Adapters: what a few small tensors add to a model's layers, whose own weights stay as they are. Inference and training.
 *
 *     LoRA (Hu et al. 2021)        y = W x + s B (A x)          A [r, in], B [out, r], s a number
 *     (IA)3 (Liu et al. 2022)      y = l (W x)  or  W (l x)     l [out] or [in]
 *     prompts (Lester et al. 2021) rows of their own before the encoder's embeddings
 *
 * x and y are floats, whatever the number type of W. A site is a linear layer: one of eleven parts of a block, or the head. What an
 * adapter does to a row depends on that row alone.
 *
 * A row of prompts stands in a batch as an id behind the vocabulary: vocab_size + k is row k of the sequence's own adapter. */
#ifndef T0_T5_ADAPTER_H
#define T0_T5_ADAPTER_H

#include "nn/exec.h"
#include "t5/model.h"
#include "t5/workspace.h"

typedef enum t0_part {
    T0_Q,
    T0_K,
    T0_V,
    T0_O,
    T0_CROSS_Q,
    T0_CROSS_K,
    T0_CROSS_V,
    T0_CROSS_O,
    T0_WI_0, /* or wi, where there is one */
    T0_WI_1,
    T0_WO,
    T0_PARTS,
    T0_HEAD = T0_PARTS,
    T0_PROMPTS
} t0_part;

typedef enum t0_role { T0_LORA_A, T0_LORA_B, T0_SCALE_IN, T0_SCALE_OUT, T0_PROMPT } t0_role;

/* A tensor of an adapter, as it is asked for. */
typedef struct t0_adapter_spec {
    const char *name; /* borrowed */
    bool decoder;     /* its stack and block; of the head and of prompts neither counts */
    size_t block;
    t0_part part;
    t0_role role;
    size_t rows, columns; /* [r, in], [out, r], [1, in], [1, out]; prompts: [n, D] */
    float scale;          /* s, told with A */
} t0_adapter_spec;

enum { T0_MOST_RANK = 1 << 14, T0_MOST_PROMPTS = 1 << 14 };

typedef struct t0_adapter_site {
    size_t in, out;
    size_t rank, a, b; /* of LoRA: offsets into the weights; rank 0: none */
    float scale;
    size_t from, to; /* of (IA)3: factors of what goes in, of what comes out; SIZE_MAX: none */
} t0_adapter_site;

typedef struct t0_adapter {
    t0_config config; /* of the models that it serves */
    size_t n_tensors, n_weights;
    t0_tensor *tensors; /* owned; offsets into weights */
    float *weights;     /* owned, T0_ALIGN-aligned */
    size_t n_sites;
    t0_adapter_site *sites; /* owned: encoder blocks' parts, decoder blocks' parts, head */
    size_t prompts, n_prompts; /* offset of the rows; how many */
    /* What a pass needs of memory: the greatest rank; whether products must be done apart; whether the head has a site. */
    size_t rank;
    bool apart, head;
} t0_adapter;

/* Weights cleared. T0_EVALUE naming the tensor whose place or shape this configuration does not have, that stands twice, or that lacks
 * the other half of its LoRA. */
t0_status t0_adapter_new(t0_adapter **out, const t0_config *config, const t0_adapter_spec *specs, size_t n, t0_error *err);
void t0_adapter_free(t0_adapter *adapter);
/* Whether the sites fit a model of this configuration. */
bool t0_adapter_fits(const t0_adapter *adapter, const t0_config *config);

/* The site, or NULL where the adapter does nothing there. */
const t0_adapter_site *t0_adapter_at(const t0_adapter *adapter, bool decoder, size_t block, t0_part part);

/* y[n, out] += s B (A x), of rows x[n, in]; low: [n, rank]. */
void t0_adapter_add(t0_exec *exec, const t0_adapter *adapter, const t0_adapter_site *site, float *y, size_t y_stride, const float *x,
                    size_t x_stride, size_t n, float *low);
/* y[n, width] = x l, l at this offset of the weights; y may be x. */
void t0_adapter_scale(t0_exec *exec, const t0_adapter *adapter, size_t factors, float *y, size_t y_stride, const float *x, size_t x_stride,
                      size_t n, size_t width);

/* ---- rows by their adapters ---------------------------------------------------------------------------------------- */

typedef struct t0_adapter_run {
    t0_range rows;
    const t0_adapter *adapter;
} t0_adapter_run;

/* What the adapters of a batch need, all together; cleared: there are none. */
typedef struct t0_adapter_needs {
    bool any, apart, head;
    size_t rank; /* the greatest of any */
} t0_adapter_needs;

/* The rows of a pass that have an adapter: runs in the order of rows, neighbours of one adapter being one run. */
typedef struct t0_adapted {
    t0_adapter_needs needs;
    t0_adapter_run *runs; /* room for as many as the pass has sequences; not read where needs.any is false */
    size_t n_runs;
} t0_adapted;

/* adapters [n], NULL where one has none; or NULL. */
t0_adapter_needs t0_adapter_needs_of(const t0_adapter *const *adapters, size_t n);
/* A run behind those that are there; of no adapter, nothing. */
void t0_adapted_push(t0_adapted *adapted, t0_range rows, const t0_adapter *adapter);

/* y += s B (A x) for the rows of LoRA at this place, counted from row `first` of the pass, of which y and x hold n. */
void t0_adapted_add(t0_exec *exec, const t0_adapted *adapted, bool decoder, size_t block, t0_part part, float *y, size_t y_stride,
                    const float *x, size_t x_stride, t0_range rows, float *low);
/* y = l y for the rows of (IA)3 at this place: of what went in, or of what came out. */
void t0_adapted_scale(t0_exec *exec, const t0_adapted *adapted, bool decoder, size_t block, t0_part part, t0_role role, float *y,
                      size_t y_stride, t0_range rows);

#endif
