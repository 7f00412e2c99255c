"""Training randomness, drawn example by example: random keys, and symmetries of patches."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8


def example_keys(key: Array, count: int, axis_name: str | None = None) -> Array:
    """One random key per example, derived from the example's position in the whole batch.

    An example therefore draws the same numbers no matter how many devices share the batch.

    Args:
        key: the step's key, the same on all devices.
        count: examples on this device, the same on every device.
        axis_name: the mapped axis that the batch is spread over; None if the batch is whole.
    """
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(count))


def dihedral(
    keys: Array, patches: UInt8[Array, "n 64 64 3"], masks: UInt8[Array, "n 64 64"]
) -> dict[str, UInt8[Array, "n 64 64 ..."]]:
    """Transforms each patch and its mask by one of the square's eight symmetries, without resampling.

    Args:
        keys: one per patch, see `example_keys`.
        patches: RGB.
        masks: the patches' masks.
    """
    across, down, transpose = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (3,)))(keys).T

    def turn(images: Array) -> Array:
        def choose(flags: Array, turned: Array, images: Array) -> Array:
            return jnp.where(flags.reshape(-1, *[1] * (images.ndim - 1)), turned, images)

        images = choose(across, images[:, :, ::-1], images)
        images = choose(down, images[:, ::-1], images)
        return choose(transpose, images.swapaxes(1, 2), images)

    return {"patches": turn(patches), "masks": turn(masks)}
