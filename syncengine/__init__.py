"""Two-way record sync: see it before, stop it during, prove it after, take it back."""

__version__ = "0.1.0"
