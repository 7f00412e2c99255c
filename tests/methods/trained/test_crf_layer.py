import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splice_jax.crf import CrfParameters, exact
from splice_jax.crf.mean_field import Kernels
from splice_jax.errors import UserError
from splice_jax.methods.trained import crf_layer

PARAMETERS = CrfParameters(2.0, 20.0, 30.0, 1.5, 4.0, iterations=2)


def test_the_module_holds_the_parameters_it_starts_from() -> None:
    module = crf_layer.initial(PARAMETERS)
    for side, wanted in ((1, [2, 20, 30, 1.5, 4]), (4, [2, 5, 30, 1.5, 1])):
        np.testing.assert_allclose(np.array(crf_layer.kernels(module, side)), wanted, rtol=1e-5)
    variables = {"params": {"judge": 1, "crf": module}, "batch_stats": {}}
    own, learned = crf_layer.parted(variables)
    assert own == {"params": {"judge": 1}, "batch_stats": {}} and "crf" in variables["params"]
    assert CrfParameters.from_config({name: float(f"{value:.4g}") for name, value in learned.items()}) == (
        dataclasses.replace(PARAMETERS, iterations=5)
    )
    assert crf_layer.parted(own) == (own, {})


def test_what_cannot_be_trained_is_named() -> None:
    with pytest.raises(
        UserError, match=r"config\.crf\.neutral: 'otsu', but a CRF is trained by probabilities; set half"
    ):
        crf_layer.initial(CrfParameters(neutral="otsu"))
    with pytest.raises(UserError, match=r"config\.crf\.smoothness_weight: 0 cannot be trained; start from a small"):
        crf_layer.initial(CrfParameters(smoothness_weight=0))


def test_images_anywhere_in_their_crops_are_refined_as_by_brute_force_and_gradients_are_finite() -> None:
    random = np.random.default_rng(0)
    image = np.kron(random.integers(0, 256, (3, 4, 3)), np.ones((4, 3, 1))).astype(np.uint8)
    logits = random.normal(0, 2, image.shape[:2]).astype(np.float32)
    logits[0] = 40, -40, *logits[0, 2:]
    places = np.s_[0, :12, :12], np.s_[1, 4:, 4:]
    crops, pixels = np.zeros((2, 16, 16), np.float32), random.integers(0, 256, (2, 16, 16, 3), np.uint8)
    inside = np.zeros((2, 16, 16), np.float32)
    for place in places:
        crops[place], pixels[place], inside[place] = logits, image, 1

    @jax.jit
    def loss(crops: jax.Array, module: Any) -> Any:
        found = crf_layer.refined(crops, jnp.asarray(pixels), jnp.asarray(inside), crf_layer.kernels(module), 2)
        return jnp.sum(jnp.tanh(found) * inside), found

    (_, found), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(crops, crf_layer.initial(PARAMETERS))
    unary = np.stack([np.logaddexp(0, logits), np.logaddexp(0, -logits)]).astype(np.float64)
    kernels = Kernels(*(getattr(PARAMETERS, name) for name in Kernels._fields))
    wanted = exact.mean_field(unary, image, kernels, 2)[1]
    for place in places:
        assert np.abs(1 / (1 + np.exp(-found[place])) - wanted).mean() < 2e-2
    np.testing.assert_allclose(found[places[0]], found[places[1]], atol=1e-3)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(gradients))
