"""Metrics of one row, 1.0 or 0.0; a cell's value is their mean over its rows.

    accuracy     the choice of highest score is the target (rank classification)
    exact_match  the generated text equals the target, both stripped of white space at their ends"""

__all__ = ["accuracy", "exact_match"]


def accuracy(index, target_index):
    """index: the choice that ranks first; target_index: the choice that is right."""
    return float(index == target_index)


def exact_match(prediction, target):
    """
    >>> exact_match(" yes\\n", "yes"), exact_match("Yes", "yes")
    (1.0, 0.0)
    """
    return float(prediction.strip() == target.strip())
