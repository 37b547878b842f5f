"""Lists of named tasks for benchmarks: pairs of variables with known mutual information."""

from functools import partial

import numpy as np

from skmi.datasets._distributions import (
    make_additive_noise,
    make_dense_gaussian,
    make_gaussian_mixture,
    make_images,
    make_sparse_gaussian,
    make_student,
)
from skmi.datasets._transforms import (
    asinh,
    bimodal,
    half_cube,
    normal_cdf,
    spiral,
    swiss_roll,
    wiggly,
)

__all__ = ["bmi_tasks", "held_out_tasks"]

# What the tasks do to X, and to Y where that differs.
WIGGLY_Y = partial(wiggly, waves=((-0.4, 0.4, 0.0), (0.17, 1.3, 3.5), (0.02, 4.3, -2.5)))
BIMODAL_X = partial(bimodal, weight=0.3, centers=(0.0, 5.0))
SPIRAL_Y = partial(spiral, plane=(1, 2))


def _task(name, sampler, transforms_x=(), transforms_y=None, **parameters):
    """A pair (name, sampler of X, Y and mi); `transforms_y=None` transforms Y as X."""
    transforms_y = transforms_x if transforms_y is None else transforms_y
    return name, partial(_sample, partial(sampler, **parameters), transforms_x, transforms_y)


def _sample(sampler, transforms_x, transforms_y, n_samples=1000, random_state=None):
    X, Y, mi = sampler(n_samples, random_state=random_state)
    for transform in transforms_x:
        X = transform(X)
    for transform in transforms_y:
        Y = transform(Y)
    return X, Y, mi


def _flat(images):
    return images.reshape(len(images), -1)


def bmi_tasks():
    """The 40 tasks of the BMI benchmark [1]_.

    Distributions and names are those of the benchmark; every call of a task draws new rows.
    Names end with the dimensions of X and Y and the parameters: the correlation of Gaussians;
    the number of interacting pairs and their strength, which is 2.0 for correlation 0.8; the
    degrees of freedom of Student distributions; the half-width of additive noise.

    Returns
    -------
    list of (name, task)
        ``task(n_samples, random_state)`` returns X of shape (n_samples, p), Y of shape
        (n_samples, q) and their mutual information in nats.

    References
    ----------
    .. [1] P. Czyz et al., "Beyond Normal: On the Evaluation of Mutual Information
       Estimators", NeurIPS 2023 (arXiv 2306.11078).

    Examples
    --------
    >>> from skmi.datasets import bmi_tasks
    >>> name, task = bmi_tasks()[0]
    >>> X, Y, mi = task(100, random_state=0)
    >>> name, X.shape, Y.shape, round(mi, 3)
    ('1v1-normal-0.75', (100, 1), (100, 1), 0.413)
    """
    return [
        _task("1v1-normal-0.75", make_sparse_gaussian),
        _task("normal_cdf-1v1-normal-0.75", make_sparse_gaussian, [normal_cdf]),
        _task("1v1-additive-0.1", make_additive_noise, epsilon=0.1),
        _task("1v1-additive-0.75", make_additive_noise, epsilon=0.75),
        _task("1v1-bimodal-0.75", make_sparse_gaussian, [BIMODAL_X], [bimodal]),
        _task("wiggly-1v1-normal-0.75", make_sparse_gaussian, [wiggly], [WIGGLY_Y]),
        _task("half_cube-1v1-normal-0.75", make_sparse_gaussian, [half_cube]),
        _student_task(1, 1, 1),
        _student_task(1, 1, 1, "asinh-", [asinh]),
        _task(
            "swissroll_x-normal_cdf-1v1-normal-0.75",
            make_sparse_gaussian,
            [normal_cdf, swiss_roll],
            [normal_cdf],
        ),
        *(
            _task(f"multinormal-dense-{d}-{d}-0.5", make_dense_gaussian, n_features_x=d)
            for d in (2, 3, 5, 25, 50)
        ),
        *(_strength_2_task(d) for d in (2, 3, 5, 25)),
        *(_student_task(d, d, df) for d, df in [(2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3)]),
        *(
            _strength_2_task(d, prefix, *transforms)
            for prefix, *transforms in [
                ("normal_cdf-", [normal_cdf]),
                ("half_cube-", [half_cube]),
                ("spiral-", [spiral], [SPIRAL_Y]),
                ("spiral-normal_cdf-", [normal_cdf, spiral], [normal_cdf, SPIRAL_Y]),
            ]
            for d in (3, 5, 25)
        ),
        *(_student_task(d, d, df, "asinh-", [asinh]) for d, df in [(2, 1), (3, 2), (5, 2)]),
    ]


def _student_task(p, q, df, prefix="", *transforms):
    """X and Y of p and q uncorrelated coordinates."""
    name = f"{prefix}student-identity-{p}-{q}-{df}"
    parameters = {"df": df, "dispersion": np.eye(p + q), "n_features_x": p}
    return _task(name, make_student, *transforms, **parameters)


def _strength_2_task(d, prefix="", *transforms):
    """The sparse Gaussians of BMI: two pairs of coordinates with correlation 0.8."""
    name = f"{prefix}multinormal-sparse-{d}-{d}-2-2.0"
    parameters = {"n_features_x": d, "n_interacting": 2, "correlation": 0.8}
    return _task(name, make_sparse_gaussian, *transforms, **parameters)


def held_out_tasks():
    """24 further tasks of the same families, for methods that were tuned on `bmi_tasks`.

    Other dimensions, correlations, degrees of freedom and transforms, independent variables,
    mixtures of Gaussians and images (flattened). Names end with the dimensions of X and Y, the
    number of correlated pairs where that is fewer than both, and the correlation, half-width
    or degrees of freedom.

    Returns
    -------
    list of (name, task)
        ``task(n_samples, random_state)`` returns X of shape (n_samples, p), Y of shape
        (n_samples, q) and their mutual information in nats.

    Examples
    --------
    >>> from skmi.datasets import held_out_tasks
    >>> tasks = dict(held_out_tasks())
    >>> X, Y, mi = tasks["sparse-2-7-0.6"](100, random_state=0)
    >>> X.shape, Y.shape, round(mi, 3)
    ((100, 2), (100, 7), 0.446)
    """
    return [
        _sparse_task("sparse", 1, 1, 0.4),
        _sparse_task("sparse", 1, 1, 0.95),
        _sparse_task("independent", 5, 5, 0),
        _sparse_task("sparse", 2, 7, 0.6),
        _sparse_task("sparse", 10, 10, 0.5, 4),
        _sparse_task("sparse", 20, 20, 0.5),
        _sparse_task("sparse", 40, 40, 0.7, 3),
        _task(
            "dense-10-15-0.7",
            make_dense_gaussian,
            n_features_x=10,
            n_features_y=15,
            correlation=0.7,
        ),
        _task(
            "normal_cdf-dense-6-6-0.4",
            make_dense_gaussian,
            [normal_cdf],
            n_features_x=6,
            correlation=0.4,
        ),
        _sparse_task("bimodal", 2, 2, 0.6, None, [bimodal], [BIMODAL_X]),
        _sparse_task("wiggly", 4, 4, 0.7, 2, [WIGGLY_Y], [wiggly]),
        _sparse_task("half_cube", 8, 8, 0.7, 2, [half_cube]),
        _sparse_task("spiral", 4, 4, 0.75, 2, [spiral], [SPIRAL_Y]),
        _sparse_task("swissroll_xy-normal_cdf", 1, 1, 0.85, None, [normal_cdf, swiss_roll]),
        _task("additive-1-1-0.3", make_additive_noise, epsilon=0.3),
        _student_task(1, 3, 2),
        _student_task(4, 4, 1),
        _student_task(2, 2, 1.5, "asinh-", [asinh]),
        _task(
            "student-dense-3-3-5",
            make_student,
            df=5,
            dispersion=(np.eye(6) + 1) / 2,
            n_features_x=3,
        ),
        _task("mixture-cross-1-1", make_gaussian_mixture),
        _task(
            "mixture-outliers-1-1",
            make_gaussian_mixture,
            weights=[0.85, 0.15],
            covariances=[[[1, 0.9], [0.9, 1]], [[9, 0], [0, 9]]],
        ),
        _task(
            "mixture-clusters-2-2",
            make_gaussian_mixture,
            weights=[0.1, 0.2, 0.3, 0.4],
            means=[[2, 0, 0, 2], [-2, 0, 0, 2], [0, 2, 2, 0], [0, -2, -2, 0]],
            covariances=[np.diag([0.5, 1, 1, 0.5])] * 2 + [np.diag([1, 0.5, 0.5, 1])] * 2,
            n_features_x=2,
        ),
        _task("images-2-0.8", make_images, [_flat], n_latents=2, correlation=0.8),
        _task("images-3-0.5", make_images, [_flat], n_latents=3, correlation=0.5),
    ]


def _sparse_task(family, p, q, rho, n_interacting=None, *transforms):
    """Gaussians with correlated pairs of coordinates, transformed."""
    pairs = "" if n_interacting is None else f"-{n_interacting}"
    parameters = {"n_features_x": p, "n_features_y": q, "correlation": rho}
    return _task(
        f"{family}-{p}-{q}{pairs}-{rho}",
        make_sparse_gaussian,
        *transforms,
        n_interacting=n_interacting,
        **parameters,
    )
