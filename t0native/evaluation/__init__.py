"""Evaluation: a model on tasks, cell by cell, kept in a journal."""
