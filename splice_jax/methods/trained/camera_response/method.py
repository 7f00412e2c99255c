"""Defines `camera_response`, and makes its network, training and localizer.

C. Chen, S. McCloskey and J. Yu, "Image Splicing Detection via Camera Response Function Analysis", CVPR 2017.
"""

from typing import TYPE_CHECKING

from splice_jax.methods.family import Family, Refine, Training, Variables
from splice_jax.methods.localizer import Localizer
from splice_jax.methods.registry import register_trained

if TYPE_CHECKING:  # The method can be described without JAX.
    from jax import Array
    from ml_collections import ConfigDict

    from splice_jax.data import Split
    from splice_jax.models.camera_response import EdgeLeNet


class CameraResponse(Family):
    """A network that sees edges, one histogram per edge."""

    unit = "edges"
    fields = ()

    def differences(self, config: "ConfigDict") -> list[str]:
        """The paper stops at judging edges."""
        return ["edges to region: ours"]

    def network(self, config: "ConfigDict") -> "EdgeLeNet":
        """LeNet; no field changes it."""
        from splice_jax.models.camera_response import EdgeLeNet

        self.check(config)
        return EdgeLeNet()

    def initialize(self, network: "EdgeLeNet", key: "Array") -> Variables:
        """Drawn from `key`."""
        import jax.numpy as jnp

        from splice_jax.data.feeding.edges import BINS

        return dict(network.init(key, jnp.zeros((1, BINS, BINS), jnp.uint8)))

    def training(self, config: "ConfigDict", network: "EdgeLeNet", variables: Variables, examples: "Split") -> Training:
        """Edges near mask boundaries against edges far from them."""
        from splice_jax.methods.trained.camera_response.training import training_from

        return training_from(config, network, examples)

    def localizer(
        self,
        config: "ConfigDict",
        network: "EdgeLeNet",
        variables: Variables,
        *,
        row: str,
        refine: Refine | None = None,
    ) -> Localizer:
        """A localizer."""
        from splice_jax.methods.trained.camera_response.localizer import CameraResponseLocalizer

        return CameraResponseLocalizer(row, network, variables, refine=refine)


register_trained("camera_response", CameraResponse(), version=2)
