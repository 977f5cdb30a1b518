"""Generation: options, search, beams, warpers, batches of answers."""
