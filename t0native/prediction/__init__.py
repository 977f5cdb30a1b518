"""Rows that are put to a model, labelled or not: asks, answers, `predict`."""
