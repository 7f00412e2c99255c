"""ResNet-18 without its classifier (He et al., CVPR 2016). Its parameters are never trained here."""

import functools

import flax.linen as nn
from jaxtyping import Array, Float

from splice_jax.models.batch_norm import BatchNorm
from splice_jax.models.kernels.initializers import kaiming_normal

STAGE_WIDTHS = (64, 128, 256, 512)


def _conv(features: int, size: int, stride: int, name: str) -> nn.Conv:
    return nn.Conv(
        features, (size, size), stride, padding=size // 2, use_bias=False, kernel_init=kaiming_normal, name=name
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    features: int
    stride: int
    train: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: Float[Array, "n height width inputs"]) -> Float[Array, "n height2 width2 features"]:
        norm = functools.partial(BatchNorm, not self.train, self.axis_name)
        residual = nn.relu(norm(name="bn1")(_conv(self.features, 3, self.stride, "conv1")(image)))
        residual = norm(name="bn2")(_conv(self.features, 3, 1, "conv2")(residual))
        if residual.shape != image.shape:
            shortcut = _conv(self.features, 1, self.stride, "downsample_conv")(image)
            image = norm(name="downsample_bn")(shortcut)
        return nn.relu(image + residual)


class ResNet18(nn.Module):
    """From ImageNet-normalised RGB to 512 pooled features; 11,176,512 parameters.

    With `train`, BatchNorm uses batch statistics, and updates its running averages if they are mutable.
    """

    @nn.compact
    def __call__(
        self, image: Float[Array, "n height width 3"], *, train: bool = False, axis_name: str | None = None
    ) -> Float[Array, "n 512"]:
        norm = BatchNorm(not train, axis_name, name="bn1")
        image = nn.relu(norm(_conv(STAGE_WIDTHS[0], 7, 2, "conv1")(image)))
        image = nn.max_pool(image, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, width in enumerate(STAGE_WIDTHS):
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                image = BasicBlock(width, stride, train, axis_name, name=f"layer{stage + 1}_{block}")(image)
        return image.mean((1, 2))
