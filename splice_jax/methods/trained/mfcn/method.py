"""Defines `sfcn`, `mfcn` and `mfcn_edge`: declares their fields, and makes their network, training and localizer.

R. Salloum, Y. Ren and C.-C. J. Kuo, Journal of Visual Communication and Image Representation 51, 2018.
"""

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from splice_jax.errors import UserError
from splice_jax.methods.family import Family, Refine, Training, Variables
from splice_jax.methods.fields import Field
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import register_trained

if TYPE_CHECKING:  # The methods can be described without JAX.
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split
    from splice_jax.models.mfcn import MFCN

VGG_WIDTH = 64

FIELDS = (
    Field("width", 1.0, "network", "channels in those of VGG-16, 1/16 to 1", least=1 / 16, most=1, changes_map=True),
    Field(
        "trunk_weights",
        "",
        "network",
        "of VGG-16 with BatchNorm, for width 1: a .npz of Flax variables; empty: from scratch",
    ),
    Field(
        "trunk_normalization",
        "imagenet",
        "network",
        "imagenet is what those weights expect, vgg_mean is the paper's",
        ("imagenet", "vgg_mean"),
        changes_map=True,
    ),
    Field("crop_size", 224, "optimisation", "pixels along a side of what is trained on, a multiple of 32"),
)


class FullyConvolutional(Family):
    """One network; `sfcn` without the edge decoder, `mfcn_edge` with both maps combined."""

    unit = "crops"
    fields = FIELDS
    published = MappingProxyType({"width": 1.0, "trunk_normalization": "vgg_mean"})
    same_network = ("mfcn", "mfcn_edge")

    def differences(self, config: "ConfigDict") -> list[str]:
        """As in the base class, plus whether the trunk started without ImageNet weights."""
        return super().differences(config) + ["from scratch"] * (not config.trunk_weights)

    def check(self, config: "ConfigDict") -> None:
        """As in the base class; also checks that the sizes fit the network."""
        from splice_jax.models.mfcn import STRIDE

        super().check(config)
        if config.trunk_weights and config.width != 1:
            published = f"fit the published network only, and config.width is {config.width:g}"
            raise UserError(f"config.trunk_weights: {published}")
        if config.crop_size < STRIDE or config.crop_size % STRIDE:
            raise UserError(f"config.crop_size: {config.crop_size} is no multiple of {STRIDE} pixels")

    def network(self, config: "ConfigDict") -> "MFCN":
        """The network, `width` times as wide as VGG-16."""
        from splice_jax.models.mfcn import MFCN

        self.check(config)
        width = round(VGG_WIDTH * config.width)
        return MFCN(width, edge=config.method != "sfcn", normalization=config.trunk_normalization)

    def initialize(self, network: "MFCN", key: "Array") -> Variables:
        """Drawn from `key`; decoders start with zero scores and interpolating kernels."""
        import jax.numpy as jnp

        from splice_jax.models.mfcn import STRIDE

        return dict(network.init(key, jnp.zeros((1, STRIDE, STRIDE, 3), jnp.uint8)))

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The variables with the trunk's weights from the file that `trunk_weights` names."""
        from splice_jax.weights.archive import load_variables

        if not config.trunk_weights:
            print("trunk_weights: empty, the trunk is trained from scratch", flush=True)
            return variables
        trunk = {name: variables[name]["trunk"] for name in variables}
        loaded = load_variables(Path(config.trunk_weights), trunk)
        return {name: variables[name] | {"trunk": loaded[name]} for name in variables}

    def training(self, config: "ConfigDict", network: "MFCN", variables: Variables, examples: "Split") -> Training:
        """Crops at random positions; the cross entropies of both decoders, classes weighted by median frequency."""
        from splice_jax.methods.trained.mfcn.training import training_from

        return training_from(config, network, examples)

    def localizer(
        self, config: "ConfigDict", network: "MFCN", variables: Variables, *, row: str, refine: Refine | None = None
    ) -> Localizer:
        """A localizer; `mfcn_edge` reads both maps."""
        from splice_jax.methods.trained.mfcn.localizer import MfcnLocalizer

        return MfcnLocalizer(row, network, variables, refine=refine)


FAMILY = FullyConvolutional()
for name in ("sfcn", "mfcn", "mfcn_edge"):
    register_trained(name, FAMILY)
