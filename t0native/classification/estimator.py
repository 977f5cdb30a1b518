"""What scikit-learn asks of an estimator: its own base classes where it is installed, else the same behaviour in a few lines.

get_params, set_params, clone and pickle go by the arguments of __init__, which are kept as they were given."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown

if TYPE_CHECKING:  # of annotations alone
    from typing import Self

__all__ = ["Estimator"]


class _Alone:
    """As scikit-learn's BaseEstimator and ClassifierMixin, of an estimator without estimators in it."""

    _estimator_type = "classifier"

    @classmethod
    def _names(cls):
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of __init__ as they are now, {name: value}."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Other arguments, by name; returns the estimator. ConfigError for a name that is none."""
        for name, value in params.items():
            if name not in self._names():
                raise ConfigError(f"set_params: no parameter {shown(name)}; {suggest(name, self._names())}")
            setattr(self, name, value)
        return self

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={shown(value)}' for name, value in self.get_params().items())})"


if TYPE_CHECKING:

    class Estimator(_Alone): ...
else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin

        class Estimator(ClassifierMixin, BaseEstimator):
            """scikit-learn's own."""

            def __sklearn_tags__(self):
                tags = super().__sklearn_tags__()
                tags.target_tags.required = False
                tags.input_tags.string = tags.input_tags.dict = True
                tags.input_tags.two_d_array = False
                tags.requires_fit = False
                tags.no_validation = True
                return tags

    except ImportError:

        class Estimator(_Alone):
            """Without scikit-learn."""
