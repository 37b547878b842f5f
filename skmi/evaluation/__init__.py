"""Measures of what a representation holds, computed with the representation held fixed."""

from skmi.evaluation._invertibility import (
    fit_adversarial_invertible,
    jacobian_condition_numbers,
)
from skmi.evaluation._probes import knn_probe, linear_probe, mlp_probe
from skmi.evaluation._reconstruction import ReconstructionDecoder, reconstruction_decoder
from skmi.evaluation._report import representation_report
from skmi.evaluation._similarity import ms_ssim

__all__ = [
    "ReconstructionDecoder",
    "fit_adversarial_invertible",
    "jacobian_condition_numbers",
    "knn_probe",
    "linear_probe",
    "mlp_probe",
    "ms_ssim",
    "reconstruction_decoder",
    "representation_report",
]
