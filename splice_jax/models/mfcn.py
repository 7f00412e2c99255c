"""The multi-task fully convolutional network (Salloum, Ren & Kuo 2017): VGG-16 with two FCN-8s decoders.

One decoder finds the spliced surface, the other its edge. Decoders are those of Long, Shelhamer & Darrell, CVPR 2015.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from splice_jax.models.local_network import imagenet_normalized
from splice_jax.models.vgg import VGG16, Features

NORMALIZATIONS = ("imagenet", "vgg_mean")
VGG_MEAN = (123.68, 116.779, 103.939)
"""ImageNet means of red, green and blue, in levels of 0 … 255 (Simonyan & Zisserman)."""
STRIDE = 32
"""Sides of images must be multiples of this."""


class Outputs(NamedTuple):
    """Log-probabilities of (not, yes) for each pixel."""

    surface: Float[Array, "n height width 2"]
    edge: Float[Array, "n height width 2"] | None  # None without the edge decoder


def bilinear_kernel(factor: int) -> Float[np.ndarray, "2*factor 2*factor"]:
    """The kernel with which a transposed convolution of this stride interpolates bilinearly."""
    tent = 1 - np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
    return np.outer(tent, tent)


def bilinear(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Initializer that interpolates every channel from itself alone; nothing is random."""
    size, _, inputs, outputs = shape
    return jnp.asarray(bilinear_kernel(size // 2)[:, :, None, None] * np.eye(inputs, outputs), dtype)


class Decoder(nn.Module):
    """FCN-8s: the last features' scores, upsampled in three steps while the scores of two earlier layers are added."""

    @nn.compact
    def __call__(self, features: Features) -> Float[Array, "n height width 2"]:
        assert features.fc7 is not None

        def score(values: Array, name: str) -> Array:
            return nn.Conv(2, (1, 1), kernel_init=nn.initializers.zeros, name=f"score_{name}")(values)

        def upsample(values: Array, factor: int, name: str) -> Array:
            size, strides = (2 * factor, 2 * factor), (factor, factor)
            return nn.ConvTranspose(2, size, strides, use_bias=False, kernel_init=bilinear, name=f"up_{name}")(values)

        scores = upsample(score(features.fc7, "fc7"), 2, "fc7")
        scores = upsample(scores + score(features.pool4, "pool4"), 2, "pool4")
        scores = upsample(scores + score(features.pool3, "pool3"), 8, "pool3")
        return jax.nn.log_softmax(scores)


class MFCN(nn.Module):
    """RGB to log-probabilities of the spliced surface and of its edge.

    134,290,764 parameters at the published width, 134,279,878 without the edge decoder.

    Attributes:
        width: channels of VGG-16's first stage; all others scale with it. 64 is the published network.
        edge: whether there is an edge decoder.
        normalization: `imagenet` (mean 0 and deviation 1 over ImageNet, which torchvision's weights expect) or
            `vgg_mean` (0 … 255 minus the mean, as published).
        axis_name: the mapped axis that a batch is spread over in training, see `vgg.VGG16`.
    """

    width: int = 64
    edge: bool = True
    normalization: str = "imagenet"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: UInt8[Array, "n height width 3"], *, train: bool = False) -> Outputs:
        """In training, BatchNorm uses batch statistics and dropout needs an RNG key named `dropout`.

        Args:
            image: sides must be multiples of `STRIDE`.
            train: training or inference.
        """
        pixels = image.astype(jnp.float32)
        if self.normalization == "vgg_mean":
            pixels -= jnp.asarray(VGG_MEAN, jnp.float32)
        else:
            pixels = imagenet_normalized(pixels / 255)
        features = VGG16(self.width, name="trunk")(pixels, train=train, axis_name=self.axis_name)
        surface = Decoder(name="surface")(features)
        return Outputs(surface, Decoder(name="edge_decoder")(features) if self.edge else None)
