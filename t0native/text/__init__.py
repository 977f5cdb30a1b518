"""Texts and token ids: the tokenizer, vocabularies, ragged batches."""
