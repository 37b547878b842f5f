"""Networks shared by critics, encoders and decoders."""

from skmi.networks.decoders import make_decoder
from skmi.networks.encoders import ENCODERS, Encoder, Layers, encoder_shapes, make_encoder
from skmi.networks.mlp import ACTIVATIONS, mlp

__all__ = [
    "ACTIVATIONS",
    "ENCODERS",
    "Encoder",
    "Layers",
    "encoder_shapes",
    "make_decoder",
    "make_encoder",
    "mlp",
]
