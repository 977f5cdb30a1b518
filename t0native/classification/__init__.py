"""From wordings to decisions: zero-shot classification with probabilities, calibration, abstention, and scikit-learn's face."""
