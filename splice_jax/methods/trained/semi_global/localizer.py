"""How `sgn` and `bappy` localize: their network sees an image patch by patch."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, UInt8

from splice_jax import patches
from splice_jax.images import residual_level, thumbnail
from splice_jax.methods.family import Refine, Variables
from splice_jax.methods.localizer import Found
from splice_jax.methods.trained.network import NetworkLocalizer
from splice_jax.models.kernels.compilation import convolution_options
from splice_jax.models.semi_global import GLOBAL_FEATURES, SemiGlobalNetwork

CHUNKS = {"cpu": 27}
"""Patches per device and network call, by backend: one compilation serves all image sizes and bounds the memory.

On a CPU this is hardly slower than 64 at a time. The last call is padded: on two devices, 108 patches (757 x 568) fill
two calls exactly, while 24 (384 x 256) take as long as 54."""

CHUNK = 256
"""The same on an accelerator."""

ORIENTATIONS = (1, 2, 4, 8)
"""How many of an image's mirrored and transposed forms may be averaged: as is, upside down, mirrored, transposed."""

_AXIS = "patches"

Item = TypeVar("Item")


@functools.cache
def _global_feature(network: SemiGlobalNetwork) -> Callable[[Variables, np.ndarray], Array]:
    """A function of variables and a thumbnail that returns its global feature, [1, 256]."""

    def both(module: SemiGlobalNetwork, thumbnail: Array) -> Array:
        return module.global_feature(module.backbone(thumbnail[None]))

    return jax.jit(nn.apply(both, network), compiler_options=convolution_options())


@functools.partial(jax.jit, static_argnames=("network", "mesh"))
def _probabilities(
    network: SemiGlobalNetwork, mesh: Mesh, variables: Variables, batch: Array, feature: Array | None, level: Array
) -> tuple[Array, Array]:
    """Label and mask probabilities of one image's patches, with a share of them on each device."""

    def share(variables: Variables, batch: Array, feature: Array | None, level: Array) -> tuple[Array, Array]:
        if feature is not None:
            feature = jnp.broadcast_to(feature, (len(batch), feature.shape[1]))
        outputs = nn.apply(SemiGlobalNetwork.heads, network)(variables, batch, feature, jnp.full(len(batch), level))
        return jnp.exp(outputs.label[:, 1]), jnp.exp(outputs.mask[..., 1])

    whole, shared = PartitionSpec(), PartitionSpec(_AXIS)
    spread = jax.shard_map(share, mesh=mesh, in_specs=(whole, shared, whole, whole), out_specs=shared, check_vma=False)
    return spread(variables, batch, feature, level)


class PatchNetworkLocalizer(NetworkLocalizer):
    """Runs the network on every patch of the grid and stitches the patches' maps, averaging where they overlap."""

    smallest = patches.PATCH_SIZE  # A smaller image would be filled up by repeated pixels, which look like a trace.
    looks_for = (
        "What a network learned to see in small patches of composed splices (noise, sharpness, resampling, "
        "compression): what differs from the rest of the photograph counts as pasted in."
    )

    def __init__(
        self,
        name: str,
        network: SemiGlobalNetwork,
        variables: Variables,
        *,
        stride: int = patches.PATCH_SIZE,
        border: str = "inward",
        orientations: int = 1,
        refine: Refine | None = None,
    ) -> None:
        """Puts the variables on all devices of this process, which share an image's patches.

        Args:
            name: the method's name.
            network: the network.
            variables: its Flax variables.
            stride: pixels between neighbouring patches.
            border: how a remainder is handled, see `patches.grid`.
            orientations: how many orientations to average the maps of (test-time augmentation), one of `ORIENTATIONS`;
                time grows in proportion.
            refine: the CRF: (image, probability) to a refined probability; None for none.
        """
        devices = jax.local_devices()
        self._mesh = Mesh(devices, (_AXIS,))
        self._everywhere = NamedSharding(self._mesh, PartitionSpec())
        super().__init__(name, variables, refine=refine, sharding=self._everywhere)
        self.network, self.stride, self.border, self.orientations = network, stride, border, orientations
        self.chunk = CHUNKS.get(jax.default_backend(), CHUNK) * len(devices)

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Found:
        """Localizes the spliced region of one RGB image.

        Raises:
            Undefined: the image is smaller than a patch.
        """
        self.require_size(image)
        relative = self.network.input_normalization == "relative"
        feature, level = self._feature(image), residual_level(image) if relative else np.float32(1)
        probability, label_probability = self._localize(image, feature, level)
        for number in range(1, self.orientations):  # Labels come from the upright image only.
            turned, _ = self._localize(np.ascontiguousarray(_turned(image, number)), feature, level)
            probability += _turned_back(turned, number)
        probability /= self.orientations
        if self.refine is not None:
            probability = self.refine(image, probability)
        return Found(probability, probability >= 0.5, label_probability if self.labels else None)

    def _localize(
        self, image: UInt8[np.ndarray, "height width 3"], feature: Array | None, level: np.float32
    ) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "rows columns"]]:
        height, width = image.shape[:2]
        origins = patches.grid(height, width, stride=self.stride, border=self.border)
        stitcher = patches.Stitcher(height, width)
        flat = origins.reshape(-1, 2)
        label_probability = np.empty(len(flat), np.float32)
        chunks = [slice(start, start + self.chunk) for start in range(0, len(flat), self.chunk)]
        dispatched = (self._patches(patches.extract(image, flat[chunk]), feature, level) for chunk in chunks)
        for chunk, found in zip(chunks, _one_ahead(dispatched), strict=True):
            labels, maps = (np.asarray(each)[: len(flat[chunk])] for each in found)
            label_probability[chunk] = labels
            stitcher.add(flat[chunk], maps)
        return stitcher.result(), label_probability.reshape(origins.shape[:2])

    def _feature(self, image: UInt8[np.ndarray, "height width 3"]) -> Array | None:
        if self.network.global_network == "none":
            return None
        if not self.labels:  # The map and the compiled program are the same without it.
            return jax.device_put(np.zeros((1, GLOBAL_FEATURES), np.float32), self._everywhere)
        on_first = jax.tree.map(lambda leaf: leaf.addressable_data(0), self.variables)  # Not computed on every device.
        return jax.device_put(_global_feature(self.network)(on_first, thumbnail(image)), self._everywhere)

    def _patches(
        self, batch: UInt8[np.ndarray, "n 64 64 3"], feature: Array | None, level: np.float32
    ) -> tuple[Array, Array]:
        """Label and mask probabilities of at most `chunk` patches, padded to `chunk`; perhaps not computed yet."""
        filled = np.zeros((self.chunk, *batch.shape[1:]), np.uint8)
        filled[: len(batch)] = batch
        return _probabilities(self.network, self._mesh, self.variables, filled, feature, level)


def _one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each yielded after the next one was requested, so that the devices can work on that one."""
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """One of the eight orientations: bit 0 reverses the rows, bit 1 the columns, then bit 2 transposes."""
    pixels = pixels[:: -1 if orientation & 1 else 1, :: -1 if orientation & 2 else 1]
    return pixels.swapaxes(0, 1) if orientation & 4 else pixels


def _turned_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    pixels = pixels.swapaxes(0, 1) if orientation & 4 else pixels
    return pixels[:: -1 if orientation & 1 else 1, :: -1 if orientation & 2 else 1]
