"""Matrix products with inputs rounded to a narrower type and float32 sums, in the backward pass as well."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

COMPUTE_DTYPES = ("float32", "bfloat16")


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def matmul(left: Float[Array, "... m k"], right: Float[Array, "k n"], dtype: str) -> Float[Array, "... m n"]:
    """left @ right, with both rounded to `dtype` and sums in float32, or in float64 where that is `dtype`.

    JAX's own gradient rule would multiply the float32 cotangent at full precision and lose half the speed.
    """
    return _product("...k,kn->...n", left, right, dtype)


def _product(equation: str, left: Array, right: Array, dtype: str) -> Array:
    sums = jnp.promote_types(dtype, jnp.float32)
    return jnp.einsum(equation, left.astype(dtype), right.astype(dtype), preferred_element_type=sums)


def _forward(left: Array, right: Array, dtype: str) -> tuple[Array, tuple[Array, Array]]:
    return matmul(left, right, dtype), (left.astype(dtype), right.astype(dtype))


def _backward(dtype: str, residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    left, right = residuals
    flat = gradient.reshape(-1, gradient.shape[-1])
    to_left = _product("...n,kn->...k", gradient, right, dtype)
    to_right = _product("mk,mn->kn", left.reshape(-1, left.shape[-1]), flat, dtype)
    return to_left, to_right


matmul.defvjp(_forward, _backward)
