"""Measures of representations, held fixed, and of the rows that generative models make."""

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
from skmi.evaluation._modes import (
    kl_to_uniform_over_modes,
    label_preserving_accuracy,
    mode_counts,
    modes_captured,
    reconstruction_error,
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
    "kl_to_uniform_over_modes",
    "knn_probe",
    "label_preserving_accuracy",
    "latent_mutual_information",
    "latent_traversal",
    "linear_probe",
    "mlp_probe",
    "mode_counts",
    "modes_captured",
    "ms_ssim",
    "reconstruction_decoder",
    "reconstruction_error",
    "representation_report",
]
