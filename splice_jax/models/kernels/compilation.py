"""Options of the compiler where its defaults are slow."""

import functools

import jax

from splice_jax.models.kernels.convolution import on_cpu

_EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def convolution_options() -> dict[str, str]:
    """`compiler_options` of `jax.jit` for a function of large convolutions: on a CPU, by Eigen and not by YNNPACK.

    XLA of jaxlib 0.10 gives some convolutions to one and some to the other, and ResNet-18 takes twice as long as with
    Eigen alone. The option is experimental: a compiler that does not know it is left as it is.
    """
    if not on_cpu():
        return {}
    try:
        jax.jit(lambda value: value, compiler_options=_EIGEN).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _EIGEN
