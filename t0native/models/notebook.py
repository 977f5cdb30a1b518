"""How a model and a ranking show themselves in notebooks; every text escaped."""

from html import escape

import numpy as np

from t0native.base.htmltext import facts_table, html_rows
from t0native.base.showing import shown

__all__ = ["model_html", "ranking_html", "ranking_text"]

_LONGEST = 80  # characters of a choice in a line of text


def model_html(model):
    """A Model as a table of what it is."""
    config, tokenizer = model.config, model.tokenizer
    decoder = "no decoder" if config.encoder_only else f"{config.num_decoder_layers} decoder layers"
    shape = f"{config.num_layers} encoder and {decoder}, d_model {config.d_model}, d_ff {config.d_ff}".replace("and no", "layers, no")
    facts = [
        ("model", model.name or "-"),
        ("weights", f"{model.parameters:,} in {model.dtype}, kernels {model.core.kernels}"),
        ("shape", f"{shape}, {config.num_heads} heads of {config.d_kv}, vocabulary {config.vocab_size:,}"),
        ("tokenizer", "none: it takes and gives ids" if tokenizer is None else repr(tokenizer)),
        ("inputs end", "in the end token" if model.add_eos_to_inputs else "without the end token"),
        ("threads", model.threads),
    ]
    if model.generation:
        facts.append(("generation", ", ".join(f"{name}={shown(value)}" for name, value in model.generation.items())))
    return facts_table([(name, escape(str(value))) for name, value in facts])


def ranking_text(ranking):
    """A Ranking in one line: the best choice, and the score of each.

    >>> t0.Ranking("good", 0, np.array([-0.25, -2.5]), np.array([2, 2]), choices=["good", "bad"])
    Ranking(choice='good', index=0, scores={'good': -0.2500, 'bad': -2.5000})
    """
    numbers = [f"{score:.4f}" for score in ranking.scores]
    if ranking.choices is None:
        scores = f"[{', '.join(numbers)}]"
    else:
        scores = f"{{{', '.join(f'{_shorten(choice)}: {number}' for choice, number in zip(ranking.choices, numbers))}}}"
    return f"Ranking(choice={_shorten(ranking.choice)}, index={ranking.index}, scores={scores})"


def ranking_html(ranking):
    """A Ranking as a table, a line a choice, the best in bold: log-likelihood, tokens, and its share of the likelihood of all choices."""
    weights = np.exp(ranking.scores - np.max(ranking.scores))
    shares, choices = weights / weights.sum(), ranking.choices or [None] * len(ranking.scores)
    rows = [
        [i if choice is None else choice if isinstance(choice, str) else _shorten(choice), f"{score:.4f}", length, f"{100 * share:.1f}"]
        for i, (choice, score, length, share) in enumerate(zip(choices, ranking.scores, ranking.lengths, shares))
    ]
    marks = ["best" if i == ranking.index else "" for i in range(len(rows))]
    table = html_rows(("choice", "log-likelihood, nats", "tokens", "share, %"), rows, marks)
    return table.replace('<tr class="best">', '<tr class="best" style="font-weight:bold">')


def _shorten(choice):
    text = repr(choice)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
