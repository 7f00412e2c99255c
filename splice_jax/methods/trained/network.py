"""What methods with a network have in common: their variables stay on the devices that compute with them."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Sharding, SingleDeviceSharding

from splice_jax.methods.family import Refine
from splice_jax.methods.localizer import Localizer


class NetworkLocalizer(Localizer):
    """A localizer whose variables are moved to its devices once, whenever they are set."""

    def __init__(
        self, name: str, variables: Mapping[str, Any], *, refine: Refine | None = None, sharding: Sharding | None = None
    ) -> None:
        """Moves the variables.

        Args:
            name: the method's name.
            variables: the network's Flax variables.
            refine: the CRF; None for none.
            sharding: where the variables go; by default, this process's first device.
        """
        self.name, self.refine = name, refine
        self._sharding = sharding or SingleDeviceSharding(jax.local_devices()[0])
        self.variables = variables

    @property
    def variables(self) -> Mapping[str, Any]:
        """The Flax variables, on the localizer's devices."""
        return self._variables

    @variables.setter
    def variables(self, variables: Mapping[str, Any]) -> None:
        self._variables = jax.device_put(variables, self._sharding)
