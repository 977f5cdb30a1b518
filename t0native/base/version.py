"""The version of this package; pyproject.toml has the same (a test holds the two equal)."""

__version__ = "0.1.1"
