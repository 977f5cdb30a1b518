"""Numbers in requests to things in the store; pages that are not there."""

from flask import abort

__all__ = ["dataset_or_404", "number", "prompt_or_404"]


def number(text):
    """A whole number in a request, or None.

    >>> number("12"), number("-1"), number("1e9"), number(None), number("9" * 40)
    (12, None, None, None, None)
    """
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def dataset_or_404(store, asked):
    try:
        return store.dataset(asked)
    except (KeyError, OverflowError):
        abort(404, "There is no such dataset: look for it on the overview.")


def prompt_or_404(store, asked):
    try:
        return store.prompt(asked)
    except (KeyError, OverflowError):
        abort(404, "There is no such prompt: look for it in the search.")
