"""The Semi-Global Network (Cun & Pun 2018): local network, global network, label head and mask head.

Without a global network, it is the network of Bappy et al. 2017. The global branch depends on the whole image alone and
is called once per image: `backbone` (frozen, cacheable), then `global_feature` (trained).

As in the paper, the global feature reaches only the label head: the mask head, and thus the map, never sees the whole
image.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from splice_jax.images import THUMBNAIL_SIZE
from splice_jax.models.batch_norm import BatchNorm
from splice_jax.models.kernels.initializers import biases, kernels, scales
from splice_jax.models.local_network import LocalNetwork, MaskHead, imagenet_normalized
from splice_jax.models.resnet import ResNet18
from splice_jax.patches import PATCH_SIZE

GLOBAL_FEATURES = 256
GLOBAL_NETWORKS = ("none", "cnn", "resnet18")
GLOBAL_NORMALIZATIONS = ("imagenet", "unit")
CNN_OUTPUTS = ("linear", "relu")
RESNET_BATCH_NORMS = ("frozen", "training")
BACKBONE_FEATURES = {"cnn": 64 * 7 * 7, "resnet18": 512}
CNN_WIDTHS = (16, 16, 32, 32, 64)


class Outputs(NamedTuple):
    """Log-probabilities of (authentic, spliced), and the share of active pixels in the bottleneck."""

    label: Float[Array, "n 2"]
    mask: Float[Array, "n 64 64 2"]
    active: Float[Array, " n"]


class GlobalCNN(nn.Module):
    """Five strided 3x3 convolutions over the thumbnail, for training without ImageNet weights."""

    output: str = "linear"
    initialization: str = "looks_linear"

    @nn.compact
    def __call__(
        self, image: Float[Array, "k 224 224 3"], *, train: bool = False, axis_name: str | None = None
    ) -> Float[Array, "k 3136"]:
        for layer, width in enumerate(CNN_WIDTHS):
            image = nn.Conv(
                width,
                (3, 3),
                2,
                padding=1,
                kernel_init=kernels(self.initialization),
                bias_init=biases(self.initialization, 9 * image.shape[-1]),
                name=f"conv{layer + 1}",
            )(image)
            if width != CNN_WIDTHS[-1]:
                norm = BatchNorm(not train, axis_name, scales(self.initialization), name=f"bn{layer + 1}")
                image = norm(nn.relu(image))
        return (nn.relu(image) if self.output == "relu" else image).reshape(image.shape[0], -1)


class SemiGlobalNetwork(nn.Module):
    """From patches and their images' global features to patch labels and patch masks.

    The global feature reaches only the label head: the masks never see the whole image.
    `methods.trained.semi_global.method` documents the fields.
    """

    hidden_size: int = 256
    num_layers: int = 3
    input_normalization: str = "residual"
    activation: str = "leaky_relu"
    block_order: str = "row"
    global_network: str = "resnet18"
    global_normalization: str = "imagenet"
    cnn_output: str = "linear"
    resnet_batch_norm: str = "frozen"
    initialization: str = "looks_linear"
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
            self.initialization,
        )
        self.mask_head = MaskHead(self.activation, self.initialization)
        self.label_head = self._dense(2, self.hidden_size + GLOBAL_FEATURES * (self.global_network != "none"))
        if self.global_network == "resnet18":
            self.resnet = ResNet18()
        elif self.global_network == "cnn":
            self.global_cnn = GlobalCNN(self.cnn_output, self.initialization)
        if self.global_network != "none":
            self.global_dense = self._dense(GLOBAL_FEATURES, BACKBONE_FEATURES[self.global_network])

    def _dense(self, features: int, inputs: int) -> nn.Dense:
        start = self.initialization
        return nn.Dense(features, kernel_init=kernels(start), bias_init=biases(start, inputs))

    @property
    def has_constant_features(self) -> bool:
        """Whether training leaves the backbone unchanged, so that it needs to see each image only once."""
        return self.global_network == "resnet18" and self.resnet_batch_norm == "frozen"

    def backbone(self, thumbnails: UInt8[Array, "k 224 224 3"]) -> Array:
        """The part of the global branch that training never changes: ResNet-18's features [k, 512], or thumbnails."""
        return self.resnet(self._pixels(thumbnails)) if self.has_constant_features else thumbnails

    def global_feature(self, backbone: Array, *, train: bool = False) -> Float[Array, "k 256"]:
        """The trained rest of the global branch, applied to `backbone`'s result."""
        if self.global_network == "cnn":
            backbone = self.global_cnn(self._pixels(backbone), train=train, axis_name=self.axis_name)
        elif not self.has_constant_features:
            features = self.resnet(self._pixels(backbone), train=train, axis_name=self.axis_name)
            backbone = jax.lax.stop_gradient(features)  # only its running averages change
        return self.global_dense(backbone)

    def _pixels(self, thumbnails: UInt8[Array, "k 224 224 3"]) -> Float[Array, "k 224 224 3"]:
        pixels = thumbnails.astype(jnp.float32) / 255
        return imagenet_normalized(pixels) if self.global_normalization == "imagenet" else pixels

    def heads(
        self,
        patches: UInt8[Array, "n 64 64 3"],
        feature: Float[Array, "n 256"] | None,
        residual_levels: Float[Array, " n"] | None = None,
    ) -> Outputs:
        """From patches to log-probabilities, each given what is known about its whole image.

        Args:
            patches: RGB.
            feature: the global feature; None without a global network.
            residual_levels: `images.residual_level`, for the input `relative`.
        """
        sequence, active = self.local_network(patches, residual_levels)
        summary = sequence[-1]
        if feature is not None:
            summary = jnp.concatenate([summary, feature], axis=-1)
        return Outputs(jax.nn.log_softmax(self.label_head(summary)), self.mask_head(sequence), active)

    def __call__(
        self,
        patches: UInt8[Array, "n 64 64 3"],
        backbone: Array,
        image_of_patch: Int[Array, " n"],
        residual_levels: Float[Array, " k"] | None = None,
        *,
        train: bool = False,
    ) -> Outputs:
        """Patches of k images; `backbone` and levels have one entry per image, indexed by `image_of_patch`."""
        levels = None if residual_levels is None else residual_levels[image_of_patch]
        if self.global_network == "none":
            return self.heads(patches, None, levels)
        return self.heads(patches, self.global_feature(backbone, train=train)[image_of_patch], levels)

    def everything(self, patches: Array, thumbnails: Array) -> Outputs:
        """Runs both branches, for initialisation: one patch per thumbnail."""
        return self(patches, self.backbone(thumbnails), jnp.arange(len(patches)), jnp.ones(len(patches)))


@functools.partial(jax.jit, static_argnames="network")
def initial_variables(network: SemiGlobalNetwork, key: Array) -> dict:
    """Parameters (and BatchNorm statistics, if any), drawn from `key`."""
    patches = jnp.zeros((1, PATCH_SIZE, PATCH_SIZE, 3), jnp.uint8)
    thumbnails = jnp.zeros((1, THUMBNAIL_SIZE, THUMBNAIL_SIZE, 3), jnp.uint8)
    return dict(network.init(key, patches, thumbnails, method="everything"))
