"""Tasks: rows with prompts, metrics, few-shot, objectives, mixtures, BIG-bench."""
