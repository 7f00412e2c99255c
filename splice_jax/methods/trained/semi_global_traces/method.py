"""Defines `sgt`: declares its fields, and makes its network, training and localizer."""

from typing import TYPE_CHECKING, Any

from splice_jax.methods.family import CRF_LAYER, Family, Refine, Training, Variables
from splice_jax.methods.fields import Field
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import register_trained

if TYPE_CHECKING:  # The method can be described without JAX.
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split
    from splice_jax.models.semi_global_traces import SemiGlobalTraces

FIELDS = (
    Field("trace_width", 48, "network", "channels per block", least=8, most=512, changes_map=True),
    Field(
        "trace_depth", 96, "network", "channels of the attention, per 2x2 blocks", least=8, most=512, changes_map=True
    ),
    Field("trace_layers", 3, "network", "of the attention", least=1, most=12, changes_map=True),
    Field("trace_dropout", 0.1, "optimisation", "probability that an example lacks a trace", least=0, most=0.9),
    Field("crop_blocks", 32, "optimisation", "blocks along a side of what is trained on", (16, 24, 32, 40, 48, 64)),
    Field("loss.spliced", 2.0, "loss", "weight of spliced pixels in the map's cross entropy", least=0),
    Field("loss.dice", 0.5, "loss", "weight of the map's soft Dice loss on spliced crops", least=0),
    Field("loss.image", 0.2, "loss", "weight of the image-level cross entropy", least=0),
    CRF_LAYER,
)

HEADS = 4
VERSION = 5
"""Of the packaged model."""


class SemiGlobalTracesFamily(Family):
    """One method."""

    unit = "crops"
    fields = FIELDS
    learns_authentic = True

    def network(self, config: "ConfigDict") -> "SemiGlobalTraces":
        """The network that the configuration describes."""
        from splice_jax.models.semi_global_traces import SemiGlobalTraces

        self.check(config)
        return SemiGlobalTraces(config.trace_width, config.trace_depth, config.trace_layers, HEADS)

    def initialize(self, network: "SemiGlobalTraces", key: "Array") -> Variables:
        """Drawn from `key`; the image's edges change nothing at first."""
        import jax.numpy as jnp

        from splice_jax.models.traces import bank

        traces, colours = jnp.zeros((1, 4, 4, 2 * bank.COUNT)), jnp.zeros((1, 8, 8, 3))
        return dict(network.init(key, traces, colours, jnp.ones((1, 4, 4))))

    def with_weights(self, variables: Variables, config: "ConfigDict") -> Variables:
        """The packaged model's variables where `init` asks for them."""
        if config.init != "packaged":
            return variables
        from splice_jax.weights.packaged import load_packaged

        return load_packaged().variables

    def training(self, config: "ConfigDict", network: Any, variables: Variables, examples: "Split") -> Training:
        """Crops of spliced and authentic images' traces."""
        from splice_jax.methods.trained.semi_global_traces.training import training_from

        return training_from(config, network, examples)

    def localizer(
        self, config: "ConfigDict", network: Any, variables: Variables, *, row: str, refine: Refine | None = None
    ) -> Localizer:
        """A localizer without calibration: its scores are the network's own."""
        from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer

        return SemiGlobalTracesLocalizer(row, network, variables, refine=refine)

    def packaged(self, *, refine: Refine | None = None) -> Localizer:
        """The calibrated localizer of the model that comes with the package."""
        from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer
        from splice_jax.models.semi_global_traces import SemiGlobalTraces
        from splice_jax.weights.packaged import load_packaged

        model = load_packaged()
        network = SemiGlobalTraces(**model.about["network"])
        return SemiGlobalTracesLocalizer(
            "sgt",
            network,
            model.variables,
            refine=refine,
            calibration=model.calibration,
            version=model.about["version"],
        )


register_trained("sgt", SemiGlobalTracesFamily(), version=VERSION)
