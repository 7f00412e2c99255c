"""The CRF from pydensecrf, which wraps Krähenbühl & Koltun's C++ program; an optional dependency."""

import importlib
import importlib.util
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from splice_jax.crf import CLIP, CrfParameters
from splice_jax.errors import UserError


def require() -> None:
    """Raises a `UserError` that says how to install pydensecrf if it is missing."""
    if importlib.util.find_spec("pydensecrf") is None:
        raise UserError(
            'crf.backend: pydensecrf is not installed; pip install "splice_jax[pydensecrf]" (it needs a C++ compiler), '
            "or take jax"
        )


def refine(
    image: UInt8[np.ndarray, "height width 3"],
    probability: Float32[np.ndarray, "height width"],
    parameters: CrfParameters,
) -> Float32[np.ndarray, "height width"]:
    """The marginal probability of the label "spliced" after `parameters.iterations` mean-field steps, at full size.

    Needs about 200 bytes per pixel; `splice_jax.crf.refine` reduces large images first.
    """
    require()
    densecrf = importlib.import_module("pydensecrf.densecrf")

    height, width = probability.shape
    spliced = np.clip(probability, CLIP, 1 - CLIP).ravel()
    field = densecrf.DenseCRF2D(width, height, 2)
    field.setUnaryEnergy(-np.log(np.stack([1 - spliced, spliced])).astype(np.float32))
    if parameters.smoothness_weight:
        field.addPairwiseGaussian(sxy=parameters.smoothness_position_std, compat=parameters.smoothness_weight)
    if parameters.bilateral_weight:
        field.addPairwiseBilateral(
            sxy=parameters.bilateral_position_std,
            srgb=parameters.bilateral_colour_std,
            rgbim=np.ascontiguousarray(image),
            compat=parameters.bilateral_weight,
        )
    marginals = np.array(field.inference(parameters.iterations), np.float32)
    return marginals[1].reshape(height, width)


def refine_batch(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    parameters: CrfParameters,
) -> list[Float32[np.ndarray, "height width"]]:
    """One after the other."""
    return [refine(*pair, parameters) for pair in zip(images, probabilities, strict=True)]


def refine_trials(
    image: UInt8[np.ndarray, "height width 3"],
    probabilities: Sequence[Float32[np.ndarray, "height width"]],
    trials: Sequence[CrfParameters],
) -> list[Float32[np.ndarray, "height width"]]:
    """One after the other."""
    return [refine(image, *trial) for trial in zip(probabilities, trials, strict=True)]


def batch_size() -> int:
    """Its program refines one image."""
    return 1
