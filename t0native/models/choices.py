"""The choices of a call of `rank`, as they are given, made lists."""

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.text.sequences import as_list

__all__ = ["check_choices"]


def check_choices(inputs, choices):
    """A list of choices for each input, a list of lists. ConfigError for anything else."""
    choices = choices if isinstance(choices, str) else as_list("choices", choices)
    if isinstance(choices, str) or len(choices) != len(inputs):
        raise ConfigError(f"choices: a list of choices for each of the {len(inputs)} inputs is needed")
    checked = []
    for i, row in enumerate(choices):
        row = row if isinstance(row, str) else as_list(f"choices of input {i}", row)
        if isinstance(row, str) or len(row) == 0:
            raise ConfigError(f"choices of input {i}: {shown(row)}; a list of at least one choice is needed")
        checked.append(list(row))
    return checked
