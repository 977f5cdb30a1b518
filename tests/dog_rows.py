"""Rows that the carried model answers: who keeps the dog."""

ASK = "{{ text }} Who keeps the dog?"
NAMES, ANIMALS = ["Anna", "Ben", "Tom"], ["cat", "bird", "fish", "horse"]
ROWS = [(f"{a} keeps a {pet}. {b} keeps a dog.", b) for a in NAMES for b in NAMES if a != b for pet in ANIMALS]
TEXTS, RIGHT = [text for text, _ in ROWS], [name for _, name in ROWS]
