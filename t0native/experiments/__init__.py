"""The miniature's experiments: the demo and the study behind docs/miniature/results.md."""
