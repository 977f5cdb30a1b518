"""Models: loading, ranking, scoring, inspection, and the machine's speed."""
