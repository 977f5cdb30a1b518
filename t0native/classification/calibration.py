"""Calibration without labels: what a model would say of each label whatever the text is, taken away from what it says of a text.

    l'[b, w, c] = s[b, w, c] - prior[w, c],  then the log of the share among the labels

p(c | x) is the share of label c among the labels, exp s[c] / sum_k exp s[k], in one wording. The priors, each wording's own:

contextual   prior[c] = log mean_x p(c | x) over inputs x without content: "N/A", "[MASK]" and the empty text.
             The paper takes the largest of W p + b, W = diag(p_cf)^-1, b = 0; here W p is divided by its sum, so that an input without
             content gets 1 / C for each label.                            Zhao et al. 2021, Calibrate Before Use, ICML, section 5
pmi          prior[c] = log P(c | domain): the score itself, given the wording without its text, or a text that names the domain.
             PMI_DC(x, c) = log P(c | x) - log P(c | domain).               Holtzman et al. 2021, Surface Form Competition, EMNLP, eq. 3
batch        prior[c] = mean_x log p(c | x) over texts without labels: those given to `fit` or `calibrate`, never those at hand, so that no
             answer depends on the company.  The paper shifts what the model says of a label by the mean of that over a batch (W = I,
             b = - mean). Here both are log-probabilities, where the shift leaves what sums to 1 once it is normalised, and where a bias
             that multiplies probabilities goes without a rest if the labels are about as frequent in these texts; where they are not, it
             pulls towards those that are rare. (Others take the log of the mean probability; a bias goes by that only in part.)
                                                                            Zhou et al. 2024, Batch Calibration, ICLR, section 3.3
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from t0native.base.arguments import one_of
from t0native.classification.combining import log_normalize

__all__ = ["CALIBRATIONS", "CONTENT_FREE", "batch_prior", "contextual_prior", "pmi_prior", "without_prior"]

Floats = NDArray[np.float64]
CALIBRATIONS = one_of("contextual", "pmi", "batch")
CONTENT_FREE = ("N/A", "[MASK]", "")


def contextual_prior(scores: Floats) -> Floats:
    """log prior [W, C] of scores [N, W, C] of N inputs without content.

    >>> contextual_prior(np.log([[[0.2, 0.6]], [[0.1, 0.1]]])).round(3).tolist() == np.log([[0.375, 0.625]]).round(3).tolist()
    True
    """
    return np.log(np.exp(log_normalize(scores)).sum(axis=0) / len(scores))


def pmi_prior(scores: Floats) -> Floats:
    """The scores [W, C] of the domain alone, which are its log prior."""
    return scores


def batch_prior(scores: Floats) -> Floats:
    """log prior [W, C] of scores [B, W, C] of a batch of texts.

    >>> batch_prior(np.log([[[0.2, 0.8]], [[0.8, 0.2]]])).round(3).tolist()
    [[-0.916, -0.916]]
    """
    return log_normalize(scores).sum(axis=0) / len(scores)


def without_prior(scores: Floats, prior: Floats | None) -> Floats:
    """Log-probabilities [..., W, C] of scores [..., W, C] whose prior [W, C] is taken away; None: as they are.

    >>> scores = np.array([[2.0, 1.0]])
    >>> np.exp(without_prior(scores, scores)).tolist()
    [[0.5, 0.5]]
    """
    if prior is None:
        return log_normalize(scores)
    return log_normalize(np.where(np.isneginf(scores), -np.inf, scores - np.where(np.isneginf(prior), 0.0, prior)))
