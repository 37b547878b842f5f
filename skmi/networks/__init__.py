"""Networks shared by critics, encoders and decoders."""

from skmi.networks.decoders import make_decoder
from skmi.networks.encoders import ENCODERS, Encoder, Layers, make_encoder
from skmi.networks.mlp import ACTIVATIONS, mlp
from skmi.networks.trial import batch_norms, checked_copy, evaluating, trial_output
from skmi.networks.views import VIEW_ENCODERS, RealNVP, ResidualMLP, make_view_encoder

__all__ = [
    "ACTIVATIONS",
    "ENCODERS",
    "VIEW_ENCODERS",
    "Encoder",
    "Layers",
    "RealNVP",
    "ResidualMLP",
    "batch_norms",
    "checked_copy",
    "evaluating",
    "make_decoder",
    "make_encoder",
    "make_view_encoder",
    "mlp",
    "trial_output",
]
