"""Random symmetries of patches."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8


def dihedral(
    key: Array, patches: UInt8[Array, "n 64 64 3"], masks: UInt8[Array, "n 64 64"]
) -> dict[str, UInt8[Array, "n 64 64 ..."]]:
    """Turns each patch and its mask by one of the square's eight symmetries. No pixel is resampled."""
    across, down, transpose = jax.random.bernoulli(key, 0.5, (3, len(patches)))

    def turn(images: Array) -> Array:
        def choose(flags: Array, turned: Array, images: Array) -> Array:
            return jnp.where(flags.reshape(-1, *[1] * (images.ndim - 1)), turned, images)

        images = choose(across, images[:, :, ::-1], images)
        images = choose(down, images[:, ::-1], images)
        return choose(transpose, images.swapaxes(1, 2), images)

    return {"patches": turn(patches), "masks": turn(masks)}
