"""The choices of a call of `rank`, as they are given, made lists."""

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.text.sequences import as_list, is_one

__all__ = ["check_choices", "check_row", "need_decoder"]


def check_choices(inputs, choices):
    """A list of choices for each input, a list of lists; of one list that serves them all, the same list. ConfigError for anything else."""
    choices = choices if isinstance(choices, str) else as_list("choices", choices)
    if isinstance(choices, str) or (len(choices) == 0 and len(inputs) > 0):
        raise ConfigError(
            f"choices {shown(choices)}: must be a list of choices for all inputs, or a list of such lists, one for each input"
        )
    of_all = [is_one(choice) for choice in choices]
    if any(of_all):
        if not all(of_all):
            odd = of_all.index(not of_all[0])
            raise ConfigError(
                f"choices: the first is {shown(choices[0])}, number {odd} is {shown(choices[odd])}: must be choices for all inputs, "
                "or lists of choices, one for each input; not both"
            )
        return [list(choices)] * len(inputs)
    if len(choices) != len(inputs):
        raise ConfigError(
            f"choices: {len(choices)} lists of choices; one for each of the {len(inputs)} inputs is needed, or one list for all"
        )
    return [check_row(f"choices of input {i}", row) for i, row in enumerate(choices)]


def check_row(place, row):
    """The choices of one input, a list."""
    row = row if isinstance(row, str) else as_list(place, row)
    if isinstance(row, str) or len(row) == 0:
        raise ConfigError(f"{place}: {shown(row)}; a list of at least one choice is needed")
    return list(row)


def need_decoder(config, what):
    """ConfigError where an encoder alone is asked for what a decoder does.  what: the method that was called."""
    if config.encoder_only:
        raise ConfigError(f"{what}: this model is an encoder alone, without a decoder: encode is what it does; load the whole model")
