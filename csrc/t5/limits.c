/* What a configuration and the options of a training may be: the one judge, whoever asks. A refusal reads
 *
 *     NAME VALUE: must be WANTED        dropout 1.5: must be at least 0 and less than 1
 *
 * with the user's names: a configuration's as in the hub's config.json, options as the keywords of train. Of a configuration all that
 * is wrong is told at once; of options, which come one by one, the first. */
#include "t5/t5.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LAYERS = 1 << 12, MAX_DIM = 1 << 24, MAX_VOCAB = 1 << 28, MAX_BUCKETS = 1 << 16 };

/* ---- configuration ---------------------------------------------------------------------------------------------- */

static const t0_config_number NUMBERS[] = {
    {"vocab_size", offsetof(t0_config, vocab_size), 1, MAX_VOCAB, false, ""},
    {"d_model", offsetof(t0_config, d_model), 1, MAX_DIM, false, ""},
    {"d_kv", offsetof(t0_config, d_kv), 1, MAX_DIM, false, ""},
    {"d_ff", offsetof(t0_config, d_ff), 1, MAX_DIM, false, ""},
    {"num_layers", offsetof(t0_config, n_layers), 1, MAX_LAYERS, false, ""},
    {"num_decoder_layers", offsetof(t0_config, n_decoder_layers), 1, MAX_LAYERS, false, ""},
    {"num_heads", offsetof(t0_config, n_heads), 1, MAX_DIM, false, ""},
    /* a sign, one exact bucket, one beyond: the hub's library divides by zero too */
    {"relative_attention_num_buckets", offsetof(t0_config, n_buckets), 4, MAX_BUCKETS, false,
     " (with fewer the buckets' formula divides by zero)"},
    {"relative_attention_max_distance", offsetof(t0_config, max_distance), 1, INT32_MAX, false, ""},
    {"pad_token_id", offsetof(t0_config, pad_id), 0, MAX_VOCAB - 1, true, ", which is vocab_size - 1"},
    {"eos_token_id", offsetof(t0_config, eos_id), 0, MAX_VOCAB - 1, true, ", which is vocab_size - 1"},
    {"decoder_start_token_id", offsetof(t0_config, decoder_start_id), 0, MAX_VOCAB - 1, true, ", which is vocab_size - 1"},
};

const t0_config_number *t0_config_number_at(size_t i) { return i < sizeof NUMBERS / sizeof *NUMBERS ? &NUMBERS[i] : NULL; }

/* Sentences one behind another, with "; " between them; what finds no room is cut. */
typedef struct refusals {
    char text[900];
    size_t size;
} refusals;

static void refuse(refusals *all, const char *format, ...) T0_PRINTF(2, 3);
static void refuse(refusals *all, const char *format, ...) {
    const char *gap = all->size > 0 ? "; " : "";
    const size_t begin = all->size + strlen(gap), room = sizeof all->text - begin;
    if (begin + 1 >= sizeof all->text) return;
    memcpy(all->text + all->size, gap, strlen(gap));
    va_list values;
    va_start(values, format);
    const int size = vsnprintf(all->text + begin, room, format, values);
    va_end(values);
    all->size = begin + (size < 0 ? 0 : (size_t)size < room ? (size_t)size : room - 1);
}

/* Those numbers that are ids, which are below the size of the vocabulary, or the others. */
static void check_numbers(const t0_config *c, bool ids, refusals *all) {
    for (const t0_config_number *number = NUMBERS; number < NUMBERS + sizeof NUMBERS / sizeof *NUMBERS; number++) {
        if (number->is_id != ids) continue;
        int32_t value;
        memcpy(&value, (const char *)c + number->offset, sizeof value);
        const int32_t most = ids ? c->vocab_size - 1 : number->most;
        if (value < number->least || value > most)
            refuse(all, "%s %d: must be a whole number from %d to %d%s", number->name, (int)value, (int)number->least, (int)most,
                   number->note);
    }
}

/* What holds between numbers that are right one by one. */
static void check_relations(const t0_config *c, refusals *all) {
    if ((int64_t)c->n_heads * c->d_kv > MAX_DIM)
        refuse(all, "num_heads %d x d_kv %d: must be at most %d", (int)c->n_heads, (int)c->d_kv, MAX_DIM);
    if (c->max_distance <= c->n_buckets / 2)
        refuse(all, "relative_attention_max_distance %d: must be above %d, half of the %d buckets", (int)c->max_distance,
               (int)(c->n_buckets / 2), (int)c->n_buckets);
}

static void check_floats(const t0_config *c, refusals *all) {
    if (!(c->dropout >= 0.0f && c->dropout < 1.0f)) refuse(all, "dropout_rate %g: must be at least 0 and less than 1", (double)c->dropout);
    if (!(c->norm_epsilon > 0.0f && c->norm_epsilon < 1.0f))
        refuse(all, "layer_norm_epsilon %g: must be above 0 and less than 1", (double)c->norm_epsilon);
}

/* Rows of fewer bits pass through a worker's scratch, and int8 sums must fit 32 bits. */
static void check_depths(const t0_config *c, refusals *all) {
    const struct depth {
        const char *name;
        int64_t value;
    } depths[] = {{"d_model", c->d_model}, {"d_ff", c->d_ff}, {"num_heads x d_kv", (int64_t)c->n_heads * c->d_kv}};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        if (depths[i].value > T0_INT8_DEPTH)
            refuse(all, "%s %lld: must be at most %d in a model of bfloat16 or int8; float32 takes more", depths[i].name,
                   (long long)depths[i].value, T0_INT8_DEPTH);
}

/* Floats of all tensors; false on overflow. No block is needed: each has the same size. */
static bool count_weights(const t0_config *c, size_t *out) {
    const size_t d = (size_t)c->d_model, inner = t0_config_inner(c), f = (size_t)c->d_ff;
    const size_t matrices = c->gated ? 3 : 2, v = (size_t)c->vocab_size * (c->tied || c->encoder_only ? 1 : 2);
    const size_t layers = (size_t)c->n_layers, decoder_layers = c->encoder_only ? 0 : (size_t)c->n_decoder_layers;
    const size_t ffn = matrices * f * d + d, attention = 4 * inner * d + d; /* < 2^53: dimensions are < 2^25 here */
    size_t encoder, decoder, tables;
    if (!t0_size_mul(attention + ffn, layers, &encoder)) return false;
    if (!t0_size_mul(2 * attention + ffn, decoder_layers, &decoder)) return false;
    if (!t0_size_mul(v, d, &tables)) return false;
    const size_t stacks = c->encoder_only ? 1 : 2, biases = c->bias_every_layer ? layers + decoder_layers : stacks;
    const size_t rest = stacks * d + biases * (size_t)c->n_buckets * (size_t)c->n_heads; /* < 2^55 */
    if (!t0_size_add(encoder, decoder, out) || !t0_size_add(*out, tables, out) || !t0_size_add(*out, rest, out)) return false;
    return *out <= SIZE_MAX / 8 / sizeof(float);
}

t0_status t0_config_check(const t0_config *c, t0_dtype dtype, t0_error *err) {
    refusals all = {.size = 0};
    size_t n_weights;
    check_numbers(c, false, &all);
    if (all.size == 0) {
        check_numbers(c, true, &all);
        check_relations(c, &all);
        check_floats(c, &all);
        if (dtype != T0_FLOAT32) check_depths(c, &all);
    }
    if (all.size == 0 && !count_weights(c, &n_weights))
        refuse(&all, "the weights would not fit into this machine's addresses; take smaller sizes");
    return all.size == 0 ? T0_OK : t0_fail(err, T0_EVALUE, "configuration: %s", all.text);
}

/* ---- options of a training ---------------------------------------------------------------------------------------- */

static t0_status check_below(const char *name, float value, float limit, t0_error *err) {
    if (value >= 0.0f && value < limit) return T0_OK;
    return t0_fail(err, T0_EVALUE, "%s %g: must be at least 0 and less than %.10g", name, (double)value, (double)limit);
}

t0_status t0_trainer_options_check(const t0_trainer_options *o, t0_error *err) {
    const float large = 1e9f;
    if (o->optimizer != T0_ADAFACTOR && o->optimizer != T0_ADAMW && o->optimizer != T0_SGD)
        return t0_fail(err, T0_EVALUE, "optimizer %d: must be Adafactor (%d), AdamW (%d) or SGD (%d)", (int)o->optimizer, T0_ADAFACTOR,
                       T0_ADAMW, T0_SGD);
    T0_TRY(check_below("beta1", o->beta1, 1.0f, err));
    T0_TRY(check_below("beta2", o->beta2, 1.0f, err));
    T0_TRY(check_below("epsilon", o->epsilon, 1.0f, err));
    T0_TRY(check_below("weight_decay", o->weight_decay, large, err));
    T0_TRY(check_below("momentum", o->momentum, 1.0f, err));
    if (o->step_offset > INT64_MAX) /* steps are added to it */
        return t0_fail(err, T0_EVALUE, "step_offset %llu: must be a whole number from 0 to %lld", (unsigned long long)o->step_offset,
                       (long long)INT64_MAX);
    T0_TRY(check_below("clip", o->clip_norm, large, err));
    T0_TRY(check_below("dropout", o->dropout, 1.0f, err));
    T0_TRY(check_below("label_smoothing", o->label_smoothing, 1.0f, err));
    T0_TRY(check_below("adapter_dropout", o->adapter_dropout, 1.0f, err));
    return check_below("z_loss", o->z_loss, large, err);
}
