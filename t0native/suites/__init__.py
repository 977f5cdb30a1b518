"""Suites: named sets of tasks, and those of YAML files."""
