"""Networks shared by critics, encoders and decoders."""

from skmi.networks.mlp import ACTIVATIONS, mlp

__all__ = ["ACTIVATIONS", "mlp"]
