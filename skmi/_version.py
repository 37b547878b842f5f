"""The version of skmi."""

__version__ = "0.1.0"
