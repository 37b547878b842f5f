"""Representations that keep information: transformers."""

from skmi.representation.autoencoder import AutoencoderTransformer
from skmi.representation.classifier import DIMClassifier
from skmi.representation.cpc import CPCTransformer
from skmi.representation.dim import DIMTransformer
from skmi.representation.jigsaw import JigsawTransformer
from skmi.representation.nat import NATTransformer
from skmi.representation.two_view import TwoViewInfoMaxTransformer

__all__ = [
    "AutoencoderTransformer",
    "CPCTransformer",
    "DIMClassifier",
    "DIMTransformer",
    "JigsawTransformer",
    "NATTransformer",
    "TwoViewInfoMaxTransformer",
]
