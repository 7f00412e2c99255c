"""Compiler options for cases where the defaults are slow."""

import functools

import jax

from splice_jax.models.kernels.convolution import on_cpu

_EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def convolution_options() -> dict[str, str]:
    """`compiler_options` of `jax.jit` for functions with large convolutions: on a CPU, use Eigen, not YNNPACK.

    XLA in jaxlib 0.10 uses one for some convolutions and the other for the rest, and ResNet-18 takes twice as long as
    with Eigen alone. The option is experimental; a compiler that does not know it keeps its defaults.
    """
    if not on_cpu():
        return {}
    try:
        jax.jit(lambda value: value, compiler_options=_EIGEN).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _EIGEN
