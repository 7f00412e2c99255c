"""The Semi-Global Network (Cun & Pun 2018): local network, global network, label head and mask head.

Without a global network it is the network of Bappy et al. 2017. The image's half is a function of the image alone and
is called once per image: `backbone` (frozen, cacheable), then `global_feature` (trained).
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from splice_jax.images import THUMBNAIL_SIZE
from splice_jax.models.local_network import LocalNetwork, MaskHead, imagenet_normalized, kaiming_normal
from splice_jax.models.resnet import ResNet18
from splice_jax.patches import PATCH_SIZE

GLOBAL_FEATURES = 256
GLOBAL_NETWORKS = ("none", "cnn", "resnet18")
CNN_WIDTHS = (16, 16, 32, 32, 64)


class Outputs(NamedTuple):
    """Log-probabilities of (authentic, spliced), and the share of active pixels in the bottleneck."""

    label: Float[Array, "n 2"]
    mask: Float[Array, "n 64 64 2"]
    active: Float[Array, " n"]


class GlobalCNN(nn.Module):
    """Five strided 3x3 convolutions over the thumbnail, for training without ImageNet weights."""

    @nn.compact
    def __call__(
        self, image: Float[Array, "k 224 224 3"], *, train: bool = False, axis_name: str | None = None
    ) -> Float[Array, "k 3136"]:
        for layer, width in enumerate(CNN_WIDTHS):
            image = nn.Conv(width, (3, 3), 2, padding=1, kernel_init=kaiming_normal, name=f"conv{layer + 1}")(image)
            if width != CNN_WIDTHS[-1]:
                image = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, axis_name=axis_name, name=f"bn{layer + 1}"
                )(nn.relu(image))
        return image.reshape(image.shape[0], -1)


class SemiGlobalNetwork(nn.Module):
    """Patches and their image's global feature to patch labels and patch masks. Fields: see `configs/default.py`."""

    hidden_size: int = 256
    num_layers: int = 3
    input_normalization: str = "residual"
    activation: str = "leaky_relu"
    block_order: str = "row"
    global_network: str = "resnet18"
    compute_dtype: str = "float32"
    axis_name: str | None = None  # the mapped axis that BatchNorm averages over in training

    def setup(self) -> None:
        self.local_network = LocalNetwork(
            self.hidden_size,
            self.num_layers,
            self.input_normalization,
            self.activation,
            self.block_order,
            self.compute_dtype,
        )
        self.mask_head = MaskHead(self.activation)
        self.label_head = nn.Dense(2, kernel_init=kaiming_normal)
        if self.global_network == "resnet18":
            self.resnet = ResNet18()
        elif self.global_network == "cnn":
            self.global_cnn = GlobalCNN()
        if self.global_network != "none":
            self.global_dense = nn.Dense(GLOBAL_FEATURES, kernel_init=kaiming_normal)

    def backbone(self, thumbnails: UInt8[Array, "k 224 224 3"]) -> Array:
        """What of the image's half never changes in training: ResNet-18's features [k, 512], or the thumbnails."""
        if self.global_network == "resnet18":
            return self.resnet(imagenet_normalized(thumbnails.astype(jnp.float32) / 255))
        return thumbnails

    def global_feature(self, backbone: Array, *, train: bool = False) -> Float[Array, "k 256"]:
        """The trained rest of the image's half, from `backbone`'s result."""
        if self.global_network == "cnn":
            pixels = imagenet_normalized(backbone.astype(jnp.float32) / 255)
            backbone = self.global_cnn(pixels, train=train, axis_name=self.axis_name)
        return self.global_dense(backbone)

    def heads(self, patches: UInt8[Array, "n 64 64 3"], feature: Float[Array, "n 256"] | None) -> Outputs:
        """Patches, each with its image's global feature (None without a global network), to log-probabilities."""
        sequence, active = self.local_network(patches)
        summary = sequence[-1]
        if feature is not None:
            summary = jnp.concatenate([summary, feature], axis=-1)
        return Outputs(jax.nn.log_softmax(self.label_head(summary)), self.mask_head(sequence), active)

    def __call__(
        self,
        patches: UInt8[Array, "n 64 64 3"],
        backbone: Array,
        image_of_patch: Int[Array, " n"],
        *,
        train: bool = False,
    ) -> Outputs:
        """Patches of k images; `backbone` holds one row per image, `image_of_patch` says which is whose."""
        if self.global_network == "none":
            return self.heads(patches, None)
        return self.heads(patches, self.global_feature(backbone, train=train)[image_of_patch])

    def everything(self, patches: Array, thumbnails: Array) -> Outputs:
        """Both halves, for initialisation: one patch per thumbnail."""
        return self(patches, self.backbone(thumbnails), jnp.arange(len(patches)))


@functools.partial(jax.jit, static_argnames="network")
def initial_variables(network: SemiGlobalNetwork, key: Array) -> dict:
    """Parameters (and BatchNorm statistics, where there are any), drawn from `key`."""
    patches = jnp.zeros((1, PATCH_SIZE, PATCH_SIZE, 3), jnp.uint8)
    thumbnails = jnp.zeros((1, THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3), jnp.uint8)
    return dict(network.init(key, patches, thumbnails, method="everything"))
