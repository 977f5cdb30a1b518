"""How an evaluation asks a model: greedily, or by the options that it is given; with the end token behind inputs, or without.

    add_eos_to_inputs   the keyword, else the model's own
    options             those of evaluate(generation=), over greedy search; of the model's generation_config.json only the ids count

A model of one's own, which has neither, is asked by the keywords that `evaluate` names and no others, unless they are given."""

import logging

from t0native.generation.options import IDS, check_options, options_of, take_back

__all__ = ["AskedModel"]
_log = logging.getLogger("t0native")


class AskedModel:
    """A model and how it is asked. add_eos: true, false, or None for the model's own.  generation: a mapping of options, or None.

    open: whether it is not settled how inputs end."""

    def __init__(self, model, add_eos, generation):
        self._model, self._given = model, check_options({} if generation is None else generation)
        self._own_end = getattr(model, "add_eos_to_inputs", False)
        self._end = self._own_end if add_eos is None else add_eos
        self.open = add_eos is None and self._end and getattr(model, "end_token_assumed", False)
        if self._given and hasattr(model, "generation"):
            options_of(model, take_back(model) | self._given)  # which says what does not go together

    def __getattr__(self, name):
        return getattr(self._model, name)

    def ask_through(self, wrap):
        """wrap(the model), which is asked in its place from now on."""
        self._model = wrap(self._model)
        return self._model

    def rank(self, inputs, choices, **options):
        return self._model.rank(inputs, choices, **self._end_option(), **options)

    def generate(self, inputs, max_new_tokens, **options):
        length = {} if self._given.keys() & {"max_new_tokens", "max_length"} else {"max_new_tokens": max_new_tokens}
        chosen = take_back(self._model) | length | self._given
        return self._model.generate(inputs, **self._end_option(), **chosen, **options)

    def _end_option(self):
        return {} if self._end == self._own_end else {"add_eos_to_inputs": self._end}

    @property
    def settings(self):
        """All of it, as a report's about has it."""
        config, own = getattr(self._model, "config", None), getattr(self._model, "generation", None)
        ids = {name: own.get(name, getattr(config, name)) for name in IDS} if isinstance(own, dict) and hasattr(config, IDS[0]) else {}
        return {"add_eos_to_inputs": self._end, "generation": {"do_sample": False, "num_beams": 1} | ids | self._given}

    def settings_of(self, cell):
        """What of it a cell hangs on, beside the model."""
        return {"add_eos_to_inputs": self._end} | ({"generation": self._given} if self._given and cell.generates else {})

    def settle(self, has_cells, n):
        """Where nothing told whether inputs end in the end token, a folder goes on as it began.

        has_cells(asked): whether the folder holds any of the n next cells, by a model that is asked so."""
        if not self.open or not n:
            return
        self.open = False
        if has_cells(self):
            return
        self._end = False
        if has_cells(self):
            _log.warning(
                "evaluate: goes on without the end token behind inputs, as the folder's cells were made; add_eos_to_inputs tells it"
            )
        else:
            self._end = True
