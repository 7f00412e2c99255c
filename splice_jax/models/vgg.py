"""VGG-16 without its last layer (Simonyan & Zisserman, ICLR 2015), fully convolutional."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from splice_jax.augmentation import example_keys
from splice_jax.models.batch_norm import BatchNorm
from splice_jax.models.kernels.initializers import kaiming_normal

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Number of convolutions before each max-pooling."""
DROPPED = 0.5
"""Share of fc6's and fc7's features that dropout zeroes in training."""
MULTIPLES = (1, 2, 4, 8, 8)
"""Channels of each stage, in multiples of the width."""
FULLY_CONNECTED_MULTIPLE = 64


class Features(NamedTuple):
    """Features whose sides are the image's divided by 8, 16, 32 and 32, rounded down; channels for width 64."""

    pool3: Float[Array, "n height8 width8 256"]
    pool4: Float[Array, "n height16 width16 512"]
    pool5: Float[Array, "n height32 width32 512"]
    fc7: Float[Array, "n height32 width32 4096"] | None  # None without the fully connected layers


class VGG16(nn.Module):
    """From RGB to features. Torchvision's ImageNet weights expect ImageNet-normalised RGB.

    The two remaining fully connected layers are convolutions, 7x7 with zero padding and 1x1: for a 224 x 224 image, the
    middle of `fc7` is what the classifier's last layer would see. 134,260,544 parameters, 119,545,856 of them in those
    two layers; BatchNorm adds 8,448.

    Attributes:
        width: channels of the first stage; all others scale with it. 64 is the published network.
        batch_norm: whether a BatchNorm follows every 3x3 convolution.
        fully_connected: whether `fc7` is computed.
    """

    width: int = 64
    batch_norm: bool = True
    fully_connected: bool = True

    @nn.compact
    def __call__(
        self, image: Float[Array, "n height width 3"], *, train: bool = False, axis_name: str | None = None
    ) -> Features:
        """In training, BatchNorm uses batch statistics; dropout of fc6 and fc7 needs an RNG key named `dropout`.

        Args:
            image: sides of at least 32.
            train: training or inference.
            axis_name: the mapped axis that a batch is spread over in training: BatchNorm averages over it, and an
                example's dropout depends on its position in the whole batch.
        """
        pools = []
        for stage, (convolutions, multiple) in enumerate(zip(CONVOLUTIONS, MULTIPLES, strict=True), 1):
            for layer in range(1, convolutions + 1):
                name = f"{stage}_{layer}"
                image = _conv(multiple * self.width, 3, f"conv{name}")(image)
                image = nn.relu(BatchNorm(not train, axis_name, name=f"bn{name}")(image) if self.batch_norm else image)
            image = _max_pool(image)
            pools.append(image)
        fc7 = self._fully_connected(image, train, axis_name) if self.fully_connected else None
        return Features(pools[2], pools[3], pools[4], fc7)

    def _fully_connected(self, image: Array, train: bool, axis_name: str | None) -> Array:
        for name, size in (("fc6", 7), ("fc7", 1)):
            image = nn.relu(_Windowed(FULLY_CONNECTED_MULTIPLE * self.width, size, name=name)(image))
            image = _dropout(self.make_rng("dropout"), image, axis_name) if train else image
        return image


class _Windowed(nn.Module):
    """A convolution as one matrix product; much faster on a CPU if the input is hardly larger than the kernel."""

    features: int
    size: int

    @nn.compact
    def __call__(self, image: Float[Array, "n height width inputs"]) -> Float[Array, "n height width features"]:
        _, height, width, inputs = image.shape
        kernel = self.param("kernel", kaiming_normal, (self.size, self.size, inputs, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        reach = self.size // 2
        padded = jnp.pad(image, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        places = [(y, x) for y in range(self.size) for x in range(self.size)]
        windows = jnp.concatenate([padded[:, y : y + height, x : x + width] for y, x in places], axis=-1)
        return windows @ kernel.reshape(-1, self.features) + bias


def _dropout(key: Array, values: Array, axis_name: str | None) -> Array:
    """Like `flax.linen.Dropout`, but what each example drops depends on its position in the whole batch."""
    keys = example_keys(key, len(values), axis_name)
    kept = jax.vmap(lambda own: jax.random.bernoulli(own, 1 - DROPPED, values.shape[1:]))(keys)
    return jnp.where(kept, values / (1 - DROPPED), 0)


def _max_pool(image: Float[Array, "n height width c"]) -> Float[Array, "n height//2 width//2 c"]:
    """Max-pooling over 2 x 2 pixels, dropping an unpaired last row or column; its gradient is also fast on a CPU."""
    height, width = (2 * (side // 2) for side in image.shape[1:3])
    rows = jnp.maximum(image[:, 0:height:2], image[:, 1:height:2])
    return jnp.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def _conv(features: int, size: int, name: str) -> nn.Conv:
    return nn.Conv(features, (size, size), kernel_init=kaiming_normal, name=name)
