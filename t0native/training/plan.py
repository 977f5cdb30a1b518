"""The plan of a run: all that decides a number of it, as JSON values, by which a run that goes on knows that it is the same run.

    {setting: value ..., "schedule", "epochs", or "steps" unless the rate is constant, "mixture", "curriculum", "model", "tokenizer"}

Which settings belong to it is said where they are (settings.py). A plan of before a setting was planned has its default."""

import json

from t0native.adapters.methods import plan_of_method
from t0native.base.digests import digest_of_value
from t0native.base.jsontext import json_text
from t0native.training.settings import SETTINGS, Settings

__all__ = ["complete_plan", "plan_of"]

_PLANNED = sorted((name for name, setting in SETTINGS.items() if setting.plan), key=lambda name: SETTINGS[name].plan)
_LATER = {name: getattr(Settings, name) for name in _PLANNED if SETTINGS[name].plan > 1}  # with the defaults
_LATER["add_eos_to_inputs"], _LATER["unanswered"] = False, "keep"  # before there was a choice
_LATER["wire"] = None  # of lots alone


def plan_of(model, mixture, settings):
    """A flat dict. A run of more steps is the same plan while the rate is constant, one of more epochs is another."""
    plan = {name: getattr(settings, name) for name in _PLANNED}
    if plan["add_eos_to_inputs"] is None:
        plan["add_eos_to_inputs"] = getattr(model, "add_eos_to_inputs", False)
    plan["unanswered"] = settings.unanswered or "drop"
    plan["adapter"] = plan_of_method(settings.adapter)
    if settings.adapter is None:
        del plan["adapter"]  # as in the plans of before there were adapters
    if settings.lots is None:
        del plan["lots"], plan["wire"]  # as in the plans of before there were lots
    plan["schedule"] = "a function" if callable(settings.schedule) else settings.schedule
    if settings.epochs is not None:
        plan["epochs"] = settings.epochs
    elif settings.schedule != "constant":
        plan["steps"] = settings.steps
    plan["mixture"] = mixture.digest()
    plan["curriculum"] = settings.mixture_at is not None
    plan["model"] = _digest_of_config(model.config)
    plan["tokenizer"] = model.tokenizer.fingerprint
    return json.loads(json_text(plan))


def complete_plan(plan):
    """A checkpoint's plan with the defaults of what it does not name: those settings were planned since.

    >>> complete_plan({"seed": 3})["precision"]
    'float32'
    """
    return _LATER | plan


def _digest_of_config(config):
    return digest_of_value(config.to_dict() if hasattr(config, "to_dict") else config)
