"""Prompts: one prompt, collections of P3's files, checks, previews."""
