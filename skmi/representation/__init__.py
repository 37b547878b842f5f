"""Representations that keep information: transformers."""

from skmi.representation.autoencoder import AutoencoderTransformer
from skmi.representation.classifier import DIMClassifier
from skmi.representation.cpc import CPCTransformer
from skmi.representation.dim import DIMTransformer
from skmi.representation.infomax_vae import InfoMaxVAETransformer
from skmi.representation.jigsaw import JigsawTransformer
from skmi.representation.nat import NATTransformer
from skmi.representation.two_view import TwoViewInfoMaxTransformer
from skmi.representation.vae import BetaVAETransformer, InfoVAETransformer, VAETransformer

__all__ = [
    "AutoencoderTransformer",
    "BetaVAETransformer",
    "CPCTransformer",
    "DIMClassifier",
    "DIMTransformer",
    "InfoMaxVAETransformer",
    "InfoVAETransformer",
    "JigsawTransformer",
    "NATTransformer",
    "TwoViewInfoMaxTransformer",
    "VAETransformer",
]
