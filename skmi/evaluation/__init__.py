"""Measures of what a representation holds, computed with the representation held fixed."""

from skmi.evaluation._invertibility import (
    fit_adversarial_invertible,
    jacobian_condition_numbers,
)
from skmi.evaluation._latent import (
    active_units,
    aggregate_posterior_kl,
    importance_weighted_log_likelihood,
    kl_to_prior,
    latent_mutual_information,
    latent_traversal,
)
from skmi.evaluation._probes import knn_probe, linear_probe, mlp_probe
from skmi.evaluation._reconstruction import ReconstructionDecoder, reconstruction_decoder
from skmi.evaluation._report import representation_report
from skmi.evaluation._similarity import ms_ssim

__all__ = [
    "ReconstructionDecoder",
    "active_units",
    "aggregate_posterior_kl",
    "fit_adversarial_invertible",
    "importance_weighted_log_likelihood",
    "jacobian_condition_numbers",
    "kl_to_prior",
    "knn_probe",
    "latent_mutual_information",
    "latent_traversal",
    "linear_probe",
    "mlp_probe",
    "ms_ssim",
    "reconstruction_decoder",
    "representation_report",
]
