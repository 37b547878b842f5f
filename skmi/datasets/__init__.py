r"""Samples with known mutual information, to test and to compare estimators.

A sampler ``make_*`` draws n independent rows and returns them with their information in nats.
A transform maps the rows of one variable one-to-one, so that it changes the shape of the data
and not their information: apply any of them to X, to Y, or to both, one after another. The
lists of tasks combine the two, as benchmarks do.
"""

from skmi.datasets._distributions import (
    make_additive_noise,
    make_dense_gaussian,
    make_dependent_batches,
    make_gaussian,
    make_gaussian_chain,
    make_gaussian_classes,
    make_gaussian_mixture,
    make_gaussian_triple,
    make_images,
    make_sparse_gaussian,
    make_student,
    make_xor,
)
from skmi.datasets._formulas import (
    gaussian_conditional_mutual_info,
    gaussian_mixture_mutual_info,
    gaussian_mutual_info,
    student_mutual_info,
)
from skmi.datasets._images import load_cifar10, load_mnist
from skmi.datasets._modes import make_gaussian_grid, make_spiral, stack_images
from skmi.datasets._tasks import bmi_tasks, held_out_tasks
from skmi.datasets._transforms import (
    TRANSFORMS,
    asinh,
    bimodal,
    half_cube,
    normal_cdf,
    spiral,
    swiss_roll,
    wiggly,
)

__all__ = [
    "TRANSFORMS",
    "asinh",
    "bimodal",
    "bmi_tasks",
    "gaussian_conditional_mutual_info",
    "gaussian_mixture_mutual_info",
    "gaussian_mutual_info",
    "half_cube",
    "held_out_tasks",
    "load_cifar10",
    "load_mnist",
    "make_additive_noise",
    "make_dense_gaussian",
    "make_dependent_batches",
    "make_gaussian",
    "make_gaussian_chain",
    "make_gaussian_classes",
    "make_gaussian_grid",
    "make_gaussian_mixture",
    "make_gaussian_triple",
    "make_images",
    "make_sparse_gaussian",
    "make_spiral",
    "make_student",
    "make_xor",
    "normal_cdf",
    "spiral",
    "stack_images",
    "student_mutual_info",
    "swiss_roll",
    "wiggly",
]
