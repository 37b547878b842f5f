"""Generators of data: adversarial models that are held to keep information."""

from skmi.generative.ali import ALITransformer, BiGANTransformer
from skmi.generative.gan import MIGAN
from skmi.generative.prior_matching import GeneratorByPriorMatching

__all__ = ["MIGAN", "ALITransformer", "BiGANTransformer", "GeneratorByPriorMatching"]
