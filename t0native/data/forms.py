"""The forms in which rows are read, with the ending of each, and written: names alone, which a help text can list."""

__all__ = ["FORMS", "OUT_FORMS"]

FORMS = {"jsonl": ".jsonl", "csv": ".csv", "tsv": ".tsv", "json": ".json", "parquet": ".parquet", "arrow": ".arrow", "text": ".txt"}
OUT_FORMS = ("jsonl", "csv", "tsv", "text")
