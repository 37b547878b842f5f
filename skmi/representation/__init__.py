"""Representations that keep information: transformers."""

from skmi.representation.dim import DIMTransformer

__all__ = ["DIMTransformer"]
