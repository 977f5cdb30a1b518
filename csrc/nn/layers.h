/* The layers of T5 on ragged rows, each as a forward/backward pair. N rows are the concatenation of all sequences'
 * tokens; nothing here knows of padding. The caller owns every buffer; strides count floats between rows.
 * "+=" marks what is accumulated; everything else is overwritten. Functions cannot fail. */
#ifndef T0_NN_LAYERS_H
#define T0_NN_LAYERS_H

#include "nn/exec.h"

/* ---- linear: y[N,O] = x[N,I] w[O,I]^T -------------------------------------------------------------------------- */
typedef struct t0_linear {
    size_t n_rows, in, out;
    size_t x_stride, y_stride; /* >= in, >= out */
} t0_linear;

void t0_linear_forward(t0_exec *exec, const t0_linear *s, float *y, const float *x, const float *w, bool add); /* add: y += */
void t0_linear_backward_input(t0_exec *exec, const t0_linear *s, float *dx, const float *dy, const float *w, bool add); /* dx (+)= dy w */
void t0_linear_backward_weight(t0_exec *exec, const t0_linear *s, float *dw, const float *dy, const float *x,
                               bool add); /* dw (+)= dy^T x */

/* ---- root-mean-square norm: y = x r g, r = 1/sqrt(mean x^2 + eps) ----------------------------------------------- */
void t0_rmsnorm_forward(t0_exec *exec, float *y, float *r, const float *x, const float *g, size_t n_rows, size_t dim, float eps);
/* dx[N,D] += ..., dg[D] += ..., or dg NULL */
void t0_rmsnorm_backward(t0_exec *exec, float *dx, float *dg, const float *dy, const float *x, const float *r, const float *g,
                         size_t n_rows, size_t dim);

/* ---- embedding: x[n] = table[ids[n]]; ids were checked --------------------------------------------------------- */
void t0_embedding_forward(t0_exec *exec, float *x, const float *table, const int32_t *ids, size_t n_rows, size_t dim);
void t0_embedding_backward(t0_exec *exec, float *dtable, const float *dx, const int32_t *ids, size_t n_rows, size_t dim); /* dtable += */

/* ---- feed-forward activation ----------------------------------------------------------------------------------- */
/* gated: h[N,2F] holds wi_0 x in columns 0..F-1 and wi_1 x in F..2F-1; a[N,F] = f(h0) * h1.
 * not gated: h[N,F]; a = f(h). The four f: nn/kernels.h. */
void t0_activation_forward(t0_exec *exec, float *a, const float *h, size_t n_rows, size_t d_ff, t0_activation f, bool gated);
void t0_activation_backward(t0_exec *exec, float *dh, const float *da, const float *h, size_t n_rows, size_t d_ff, t0_activation f,
                            bool gated);

/* ---- dropout: y = x * mask / (1 - rate), mask from base/random.h at (seed, T0_RANDOM_DROPOUT + (site << 8), first + i).
 * Forward and backward are the same call. rate in [0, 1); y may be x. ---------------------------------------------- */
void t0_dropout(t0_exec *exec, float *y, const float *x, size_t n, float rate, uint64_t seed, uint64_t site, uint64_t first);
/* T5X's: along a sequence one mask for all rows, that of its first row. x, y: [offsets[n_sequences], columns]. */
void t0_dropout_broadcast(t0_exec *exec, float *y, const float *x, const int64_t *offsets, size_t n_sequences, size_t columns, float rate,
                          uint64_t seed, uint64_t site, uint64_t first);

/* ---- attention over ragged sequences (Vaswani et al. 2017; T5: no 1/sqrt(K), a bias by distance) ----------------
 *
 *     s[h,i,j] = q[i,h,:] . k[j,h,:] + bias[h, j - i]         j <= i only, when causal
 *     p[h,i,:] = softmax_j s,   o[i,h,:] = sum_j (dropped p)[h,i,j] v[j,h,:]
 *
 * Sequence b has queries query_offsets[b] .. query_offsets[b+1]-1 and attends to rows key_offsets[b] .. key_offsets[b+1]-1 of
 * k and v. Row n of q starts at q + n * q_stride, head h at column h * head_dim.
 * bias: [H][bias_width]: distance j - i stands at column bias_center + (j - i); has_bias false: none (cross-attention).
 * Causal: a sequence's last query stands at its last key. p of sequence b: [H][queries][keys], sequences end to end; kept
 * undropped. Sizes need no pointers: they can be asked for before anything is placed. */
typedef struct t0_attention {
    size_t n_sequences, n_heads, head_dim;
    const int64_t *query_offsets, *key_offsets; /* [n_sequences + 1] */
    size_t q_stride, k_stride, v_stride, o_stride;
    bool causal, has_bias;
    const float *bias;
    size_t bias_width, bias_center;
    float dropout;
    bool broadcast;             /* of dropout, as T5X: all queries of a head have the mask of its first */
    uint64_t seed, site, first; /* element e of p has mask number first + e */
} t0_attention;

/* Floats that p needs: sum over sequences of H * queries * keys. */
size_t t0_attention_p_size(const t0_attention *s);
void t0_attention_forward(t0_exec *exec, const t0_attention *s, float *o, float *p, const float *q, const float *k, const float *v);
/* dq overwritten; dk, dv +=; dbias[H][bias_width] += (NULL with no bias).
 * scratch: t0_attention_backward_scratch_size floats. */
size_t t0_attention_backward_scratch_size(const t0_attention *s, size_t n_threads);
void t0_attention_backward(t0_exec *exec, const t0_attention *s, float *dq, float *dk, float *dv, float *dbias, float *scratch,
                           const float *d_o, const float *p, const float *q, const float *k, const float *v);

/* Bucket of a relative position j - i (T5, Raffel et al. 2020, section 2.1): half of the buckets exact, the rest
 * logarithmic up to max_distance; bidirectional halves them by sign. */
int t0_relative_bucket(int64_t distance, bool bidirectional, int n_buckets, int max_distance);
/* bias[h][c] = table[bucket(c - center)][h] for c < width; table is [n_buckets, H], as the hub stores it. */
void t0_bias_forward(float *bias, const float *table, size_t n_heads, size_t width, size_t center, bool bidirectional, int n_buckets,
                     int max_distance);
void t0_bias_backward(float *dtable, const float *dbias, size_t n_heads, size_t width, size_t center, bool bidirectional, int n_buckets,
                      int max_distance); /* dtable += */

/* ---- softmax cross-entropy on logits[N,V] ----------------------------------------------------------------------
 *     lse = log sum_v exp z_v,   loss_n = (1 - e) (lse - z_target) + e (lse - mean_v z) + z_loss * lse^2   (e: label smoothing)
 * log_likelihood[n] = z_target - lse (may be NULL). dlogits (NULL, or logits itself, or another block) receives
 * scale * d(sum loss)/dlogits. Returns the sum of losses, in double, unscaled. */
double t0_cross_entropy(t0_exec *exec, float *dlogits, float *log_likelihood, const float *logits, const int32_t *targets, size_t n_rows,
                        size_t vocab, float scale, float label_smoothing, float z_loss);

#endif
