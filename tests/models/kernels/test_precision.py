import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from splice_jax.models.kernels.precision import COMPUTE_DTYPES, matmul


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    return array if dtype == "float32" else array.astype(jnp.bfloat16).astype(np.float32)


@pytest.mark.parametrize("dtype", COMPUTE_DTYPES)
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_product_and_gradients_are_those_of_rounded_factors(batch: tuple[int, ...], dtype: str) -> None:
    left, right, cotangent = drawn(*batch, 4, 5), drawn(5, 6, seed=1), drawn(*batch, 4, 6, seed=2)

    @jax.jit
    def both(left, right):
        product, transpose = jax.vjp(lambda left, right: matmul(left, right, dtype), left, right)
        return product, *transpose(cotangent)

    product, to_left, to_right = both(left, right)
    left, right, cotangent = rounded(left, dtype), rounded(right, dtype), rounded(cotangent, dtype)
    np.testing.assert_allclose(product, left @ right, atol=1e-5)
    np.testing.assert_allclose(to_left, cotangent @ right.T, atol=1e-5)
    np.testing.assert_allclose(to_right, left.reshape(-1, 5).T @ cotangent.reshape(-1, 6), atol=1e-5)


def test_gradients_equal_differences() -> None:
    factors = drawn(3, 4), drawn(4, 2, seed=1)
    check_grads(lambda left, right: matmul(left, right, "float32"), factors, order=1, modes=["rev"], rtol=1e-2)


def test_sums_stay_in_float32() -> None:
    # In bfloat16 a sum of ones stops growing at 256.
    total = matmul(np.ones((1, 1000), np.float32), np.ones((1000, 1), np.float32), "bfloat16")
    assert total.dtype == np.float32
    assert total.item() == 1000


def test_float64_stays_float64() -> None:
    left, right = (drawn(3, 3, seed=seed).astype(np.float64) for seed in (0, 1))
    with jax.enable_x64():
        np.testing.assert_allclose(matmul(left, right, "float64"), left @ right, rtol=1e-14)
