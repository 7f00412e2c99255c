"""What an entry point sets before the first computation: devices, compilation cache, memory."""

import ctypes
import hashlib
import os
import platform
from pathlib import Path

_DEVICES_FLAG = "--xla_force_host_platform_device_count"
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def set_up(cpu_devices: int = 0) -> None:
    """Makes JAX use all cores, and remember what it has compiled.

    Small convolutions and products use one core each: a device per core uses them all.

    Args:
        cpu_devices: that the CPU is divided into; 0: one per core.
    """
    keep_memory()
    _divide_cpu(cpu_devices)
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(compilation_cache()))


def set_up_where_unused() -> bool:
    """`set_up` for a call from any program, which may use JAX in its own way: then nothing is changed.

    JAX is in use where the process has computed with it, or where someone chose the number of devices that the CPU is
    divided into: by `jax_num_cpu_devices` or XLA's flag. SPLICE_JAX_SET_UP=0 in the environment says the same.

    Returns:
        whether JAX was set up.
    """
    import jax

    configured: int = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]
    chosen = configured >= 0 or _DEVICES_FLAG in os.environ.get("XLA_FLAGS", "")
    if chosen or os.environ.get("SPLICE_JAX_SET_UP") == "0" or not _divide_cpu():
        return False
    set_up()
    return True


def _divide_cpu(devices: int = 0) -> bool:
    """Whether it could be done: in a process that has computed before, its devices are what they are."""
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", devices or os.cpu_count() or 1)
    except RuntimeError:
        return False
    return True


def user_cache() -> Path:
    """Where what can be made again is kept: $XDG_CACHE_HOME or ~/.cache, splice_jax."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "splice_jax"


def compilation_cache() -> Path:
    """The user's own folder of compiled programs, one per kind of processor: machines share homes."""
    return user_cache() / "compiled" / hashlib.sha256(_processor().encode()).hexdigest()[:16]


def _processor() -> str:
    """What a compiled program depends on: the architecture, and where it can be had the instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    known = (line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {platform.processor()} {next(known, '')}"


def keep_memory() -> bool:
    """Lets glibc keep what is freed, for the buffers of the next step; elsewhere does nothing.

    XLA's CPU buffers are large, so that each would be mapped, filled with zeros page by page and unmapped again in
    every step: about a quarter of the processor's time. To be called before the first computation.

    Returns:
        whether the C library took all settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, value) for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)))
