"""The network of Chen, McCloskey & Yu (CVPR 2017), which judges an edge by its intensity–gradient histogram."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from splice_jax.models.kernels.initializers import kaiming_normal


class EdgeLeNet(nn.Module):
    """LeNet (LeCun et al. 1998, in the form of Caffe's example) with two classes: 427,072 parameters."""

    @nn.compact
    def __call__(self, histograms: UInt8[Array, "n 28 28"]) -> Float[Array, "n 2"]:
        """Log-probabilities of (natural, forged).

        Args:
            histograms: log counts in 0 … 255, see `data.feeding.edges.histograms`.
        """
        values = histograms[..., None].astype(jnp.float32) / 255
        for channels, name in ((20, "conv1"), (50, "conv2")):
            values = nn.Conv(channels, (5, 5), padding="VALID", kernel_init=kaiming_normal, name=name)(values)
            values = nn.max_pool(values, (2, 2), (2, 2))
        hidden = nn.relu(nn.Dense(500, kernel_init=kaiming_normal, name="dense1")(values.reshape(len(values), -1)))
        return jax.nn.log_softmax(nn.Dense(2, kernel_init=kaiming_normal, name="dense2")(hidden))
