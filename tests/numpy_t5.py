"""T5 once more, in plain NumPy and float64, one sequence at a time: what bfloat16 and int8 models are to compute.

    bfloat16   W is rounded to 8 bits of mantissa (ties to even); products and sums are exact
    int8       W's row o is rounded to integers q with scale max|W_o| / 127, x's row likewise:  y = scale_x scale_o sum q_x q_o
               untied embeddings are a table in bfloat16
    halves     where the processor multiplies bfloat16s: a bfloat16 model rounds x too, and attention, in int8 models as well,
               rounds queries, keys, the softmax's weights and values; but `by_token`, where a decoder takes one token after the
               other, its attention rounds nothing

All else (residual stream, norms, softmax, biases, gates) is not rounded. Where the core, in float32, computes the number that is
to be rounded with a small error, it may go to the other neighbour. So each rounding notes how far it was from doing so; `clear`
is the least distance of all, as a share of the largest number of its row. Neighbours no farther apart than float32's own
error do not count: there it does no more than that error does."""

import math

import numpy as np

CLEAR = 8 * 2.0**-24  # of a row's largest number: float32's error of what is rounded in small models, with room


class NumpyT5:
    """shape: a configuration as the hub has it.  weights: {name: float32 array}.  dtype: "float32", "bfloat16" or "int8"."""

    def __init__(self, shape, weights, dtype, halves=False):
        self.shape, self.dtype, self.halves, self.clear = shape, dtype, halves and dtype != "float32", np.inf
        self.by_token, self.encoded = False, {}
        self.weights = {name: self._stored(name, value) for name, value in weights.items()}
        self.table = self.weights["shared.weight"]
        if dtype == "int8" and (not shape["tie_word_embeddings"] or shape.get("encoder_only")):
            self.table = bfloat16(weights["shared.weight"].astype(np.float64))

    def _stored(self, name, value):
        if value.ndim == 1 or "relative_attention_bias" in name or self.dtype == "float32":
            return value.astype(np.float64)
        return bfloat16(value.astype(np.float64)) if self.dtype == "bfloat16" else int8_rows(value)

    # ---- roundings -----------------------------------------------------------------------------------

    def _note(self, x, rounded, step):
        """step: between the neighbours of each number."""
        largest = np.abs(x).max(-1, keepdims=True)
        away = (step / 2 - np.abs(x - rounded)) / np.where(largest > 0, largest, 1.0)
        counts = step > CLEAR * largest
        if counts.any():
            self.clear = min(self.clear, away[counts].min())

    def half(self, x):
        rounded = bfloat16(x)
        self._note(x, rounded, spacing(x))
        return rounded

    def rounded(self, x):
        """x as a product takes it."""
        if self.dtype != "int8":
            return self.half(x) if self.halves else x
        step = np.abs(x).max(-1, keepdims=True) / 127
        rounded = np.rint(x / np.where(step > 0, step, 1.0)) * step
        self._note(x, rounded, step * np.ones_like(x))
        return rounded

    # ---- layers --------------------------------------------------------------------------------------

    def linear(self, x, name):
        return self.rounded(x) @ self.weights[name + ".weight"].T

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.shape["layer_norm_epsilon"]) * self.weights[name + ".weight"]

    def attention(self, x, sources, name, bias, causal):
        heads, halves = self.shape["num_heads"], self.halves and not (self.by_token and name.startswith("decoder"))
        half = self.half if halves else lambda value: value
        parts = (("q", x), ("k", sources), ("v", sources))
        q, k, v = (self.linear(rows, f"{name}.{part}").reshape(len(rows), heads, -1).swapaxes(0, 1) for part, rows in parts)
        z = half(q) @ half(k).swapaxes(1, 2) + bias
        if causal:
            z = np.where(np.tril(np.ones(z.shape[1:], bool)), z, -np.inf)
        p = np.exp(z - z.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return self.linear((half(p) @ half(v)).swapaxes(0, 1).reshape(len(x), -1), f"{name}.o")

    def feed_forward(self, x, name):
        proj = self.shape["feed_forward_proj"]
        gated, f = proj.startswith("gated-"), ACTIVATIONS["gelu_new" if proj == "gated-gelu" else proj.removeprefix("gated-")]
        h = f(self.linear(x, name + (".wi_0" if gated else ".wi")))
        return self.linear(h * self.linear(x, name + ".wi_1") if gated else h, name + ".wo")

    def bias(self, stack, block, n):
        own = block if self.shape.get("relative_attention_every_layer") else 0
        table = self.weights[f"{stack}.block.{own}.layer.0.SelfAttention.relative_attention_bias.weight"]
        distances = np.arange(n)[None, :] - np.arange(n)[:, None]
        return np.moveaxis(table[buckets(distances, stack == "encoder", self.shape)], -1, 0)

    def stack(self, stack, ids, states=None):
        """States after the final norm [N, D]; states: the encoder's, for a decoder."""
        x = self.table[ids]
        for block in range(self.shape["num_layers" if states is None else "num_decoder_layers"]):
            at = f"{stack}.block.{block}.layer."
            y = self.norm(x, at + "0.layer_norm")
            x = x + self.attention(y, y, at + "0.SelfAttention", self.bias(stack, block, len(ids)), states is not None)
            if states is not None:
                x = x + self.attention(self.norm(x, at + "1.layer_norm"), states, at + "1.EncDecAttention", 0.0, False)
            last = at + ("1" if states is None else "2")
            x = x + self.feed_forward(self.norm(x, last + ".layer_norm"), last + ".DenseReluDense")
        return self.norm(x, f"{stack}.final_layer_norm")

    def encode(self, source):
        """States [S, D]; each source is encoded once, and counts in `clear` each time."""
        if (key := tuple(source)) not in self.encoded:
            before, self.clear = self.clear, np.inf
            self.encoded[key] = self.stack("encoder", source), self.clear
            self.clear = before
        states, clear = self.encoded[key]
        self.clear = min(self.clear, clear)
        return states

    def logits(self, source, inputs):
        """[T, V] of decoder inputs, the start token among them."""
        out = self.stack("decoder", inputs, self.encode(source))
        head = "shared" if self.shape["tie_word_embeddings"] else "lm_head"
        return self.linear(out * self.shape["d_model"] ** -0.5 if self.shape["scale_decoder_outputs"] else out, head)

    def score(self, source, target):
        """Log-likelihood of each token of the target [T]."""
        z = self.logits(source, [self.shape["decoder_start_token_id"], *target[:-1]])
        most = z.max(-1, keepdims=True)
        return (z - most - np.log(np.exp(z - most).sum(-1, keepdims=True)))[np.arange(len(target)), target]


def erf(x):
    return np.array([math.erf(value) for value in x.reshape(-1)]).reshape(x.shape)


ACTIVATIONS = {
    "relu": lambda h: np.maximum(h, 0.0),
    "gelu": lambda h: 0.5 * h * (1 + erf(h / np.sqrt(2))),
    "gelu_new": lambda h: 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))),
    "silu": lambda h: h / (1 + np.exp(-h)),
}
ACTIVATIONS["gelu_python"] = ACTIVATIONS["gelu"]


def spacing(x):
    """Between a number's neighbours in bfloat16."""
    return np.ldexp(1.0, np.frexp(x)[1] - 8)


def bfloat16(x):
    """The nearest numbers of 8 bits of mantissa, ties to even (subnormals aside)."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(mantissa * 256), exponent - 8)


def int8_rows(value):
    """Rows of integers times their scale; the integers are taken in float32, as those of a file are."""
    most = np.abs(value).max(-1, keepdims=True)
    factor = np.divide(np.float32(127), most, out=np.zeros_like(most), where=most > 0)
    return np.rint(value * factor).astype(np.float64) * (most / np.float32(127)).astype(np.float64)


def buckets(distances, both_ways, shape):
    """Raffel et al. 2020: exact buckets near by, logarithmic ones beyond; the logarithm in float32."""
    n, most = shape["relative_attention_num_buckets"], shape["relative_attention_max_distance"]
    base = 0
    if both_ways:
        n //= 2
        base, far = (distances > 0) * n, np.abs(distances)
    else:
        far = np.maximum(-distances, 0)
    exact = n // 2
    ratio = np.log(np.maximum(far, exact).astype(np.float32) / np.float32(exact)) / np.float32(np.log(most / exact))
    beyond = exact + (ratio * np.float32(n - exact)).astype(np.int64)
    return base + np.where(far < exact, far, np.minimum(beyond, n - 1))
