"""compat="t0-2021": rank classification as the script evaluation/run_eval.py of bigscience-workshop/t-zero did it in 2021, with its
errors, so that numbers made by it can be traced.

    batches of 8 rows in order; the first row of a batch says how many choices all of its rows have
    rows with more choices     the others are cut off and cannot be predicted: a row whose target is cut off is always wrong
    rows with fewer            the script stops with an IndexError: the cell fails
    target not a choice        the script stops at an assertion: the cell fails; so it does where a prompt gives not two parts, or no
                               choices
    inputs                     cut at 1,024 tokens, without an end token; padding has no effect (positions are relative, padding is masked)
    an empty target            stays empty (T0's own pipeline makes it "<NO LABEL>")

The last two need nothing here, but that an empty target is no choice in either. Scores are sums over tokens, as everywhere."""

from t0native.base.arguments import Kind
from t0native.base.errors import DataError

__all__ = ["COMPAT", "count_ranked_in_2021"]

COMPAT = Kind(lambda value: value == "t0-2021", "'t0-2021'").or_none()
BATCH = 8
_STOPS = "compat='t0-2021': t-zero's script stops"


def count_ranked_in_2021(rows):
    """How many choices the script ranks, the first ones, of each row that RenderedRows keep: a list. DataError where it would have
    stopped."""
    if rows.dropped:
        raise DataError(f"{_STOPS} at such rows: {rows.reason}")
    bare = next((row for row in rows.kept if row.choices is None), None)
    if bare is not None:
        raise DataError(f"{_STOPS} at row {bare.index}: the prompt has no answer choices")
    ranked = []
    for i, row in enumerate(rows.kept):
        first = rows.kept[i - i % BATCH]
        count = len(first.choices)
        if len(row.choices) < count:
            raise DataError(
                f"{_STOPS} at row {row.index}: it has {len(row.choices)} choices, the first row of its batch, {first.index}, has {count}"
            )
        ranked.append(count)
    return ranked
