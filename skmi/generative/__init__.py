"""Generators of data: adversarial models that are held to keep information."""

from skmi.generative.gan import MIGAN

__all__ = ["MIGAN"]
