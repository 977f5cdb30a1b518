"""What a classifier learns: a prior without labels, weights of wordings and a tuner with a few. Nothing changes the model.

calibrate     texts or none  --> Fitted with the prior of a method (calibration.py)
tune          texts, labels  --> Fitted with a tuner (tuning.py), or with the wordings that an honest split keeps (selection.py)"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t0native.base.arguments import TEXT, check, one_of
from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import listed, shown
from t0native.classification.calibration import batch_prior, contextual_prior, pmi_prior
from t0native.classification.engine import Engine, Fitted
from t0native.classification.selection import select_wordings
from t0native.classification.tuning import fit_tuner
from t0native.classification.wordings import domain_wording

__all__ = ["TUNE", "calibrated", "check_tune", "tuned", "untrained"]

TUNE = one_of("temperature", "platt", "isotonic", "wordings")


def check_tune(tune: Any) -> Any:
    """ConfigError for what is no way to tune."""
    if tune == "adapter":
        raise ConfigError("tune='adapter': there are no adapters yet; 'temperature', 'platt', 'isotonic' and 'wordings' train none")
    if tune is not None and not TUNE.fits(tune):
        raise ConfigError(f"tune {shown(tune)}: must be {TUNE.wanted}, or None")
    return tune


def untrained(engine: Engine) -> Fitted:
    """What is known before anything is learned: every wording counts alike."""
    return Fitted(None, None, np.ones(len(engine.wordings)))


def calibrated(engine: Engine, fitted: Fitted, method: str, texts: list[Any] | None) -> Fitted:
    """The same with the prior of a method. texts: checked ones, of which "batch" alone has need; DataError where it has none."""
    if method == "batch":
        if not texts:
            raise DataError("calibration 'batch': texts without labels are needed, whose mean it takes: calibrate(texts) or fit(texts)")
        prior = batch_prior(_by_label(engine, engine.score(texts, what="calibrate").scores))
    else:
        of_wording = _contextual if method == "contextual" else _of_domain
        prior = np.concatenate([of_wording(engine, wording) for wording in engine.wordings], axis=1 if engine.settings.multi_label else 0)
    return fitted._replace(calibration=method, prior=prior)


def tuned(engine: Engine, fitted: Fitted, how: str, texts: list[Any], right: NDArray[np.bool_]) -> Fitted:
    """The same with what a few labels tell. texts: checked.  right: bool [B, C]."""
    if how == "wordings" and engine.settings.multi_label:
        raise ConfigError("tune='wordings': is for one label a text; with multi_label=True take 'temperature', 'platt' or 'isotonic'")
    scores = engine.score(texts, what="fit").scores
    if how == "wordings":
        selection = select_wordings(scores, right.argmax(axis=1), engine.settings.combine, _shares_by(engine, fitted))
        return fitted._replace(weights=selection.weights, selection=selection)
    lacking = [name for name, any_right in zip(engine.labels.names, right.any(axis=0)) if not any_right]
    if how == "isotonic" and lacking:
        raise DataError(f"tune='isotonic': no text has the label {listed(map(str, lacking), 4)}, which would never be given again")
    return fitted._replace(tuner=fit_tuner(how, engine.combine(scores, fitted), right, engine.settings.multi_label))


def _shares_by(engine, fitted):
    """How scores lose their prior: that of "batch" is learned of the rows that a part of the choice may see."""
    if fitted.calibration == "batch":
        return lambda learned, scores: engine.log_shares(scores, batch_prior(learned))
    return lambda learned, scores: engine.log_shares(scores, fitted.prior)


# ---- inputs without a text --------------------------------------------------------------------------------------------------
# Priors of one wording: [1, C], or of several labels a text [labels, 1, 2].


def _contextual(engine, wording):
    """Of the content-free texts that give the wording an input: of some it gives none, as of an empty one that stands alone."""
    texts = engine.settings.content_free
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"content_free {shown(texts)}: must be a list of texts without content, as ('N/A', '')")
    rows = [_row_of(wording, text) for text in texts]
    rows = [row for row in rows if wording.render({"label": "", **row}, engine.labels.shown) is not None]
    if not rows:
        raise ConfigError(f"content_free {shown(tuple(texts))}: none gives the prompt {shown(wording.name)} an input; add a text, as 'N/A'")
    return contextual_prior(_scores_of(engine, rows, wording))


def _of_domain(engine, wording):
    """Of the wording without its text, or of the domain's own text."""
    if engine.settings.domain is not None:
        row = {"domain": check(TEXT, "domain", engine.settings.domain)}
        return pmi_prior(_scores_of(engine, [row], domain_wording())[0])
    row = _row_of(wording, "")
    if wording.render({"label": "", **row}, engine.labels.shown) is None:
        raise ConfigError(
            f"calibration 'pmi': the prompt {shown(wording.name)} is empty without its text; domain= names what texts are about"
        )
    return pmi_prior(_scores_of(engine, [row], wording)[0])


def _row_of(wording, text):
    return dict.fromkeys(wording.fields, text)


def _scores_of(engine, rows, wording):
    return _by_label(engine, engine.score(rows, what="calibrate", progress=lambda done: None, wordings=[wording]).scores)


def _by_label(engine, scores):
    """[B, W, C], or of several labels a text [B, labels, W, 2]."""
    return scores.reshape(-1, len(engine.labels.names), *scores.shape[1:]) if engine.settings.multi_label else scores
