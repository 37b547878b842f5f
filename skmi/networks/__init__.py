"""Networks shared by critics, encoders and decoders."""

from skmi.networks.encoders import ENCODERS, Encoder, Layers, make_encoder
from skmi.networks.mlp import ACTIVATIONS, mlp

__all__ = ["ACTIVATIONS", "ENCODERS", "Encoder", "Layers", "make_encoder", "mlp"]
