"""What an entry point sets up before the first computation: devices, compilation cache, memory."""

import contextlib
import ctypes
import hashlib
import os
import platform
from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.files import writable_folder
from splice_jax.workers import cores

_DEVICES_FLAG = "--xla_force_host_platform_device_count"
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def set_up(cpu_devices: int = 0) -> None:
    """Makes JAX use all cores, and cache what it compiles.

    Small convolutions and products use one core each; one device per core uses them all.

    Args:
        cpu_devices: number of devices to divide the CPU into; 0: one per core.
    """
    keep_memory()
    _divide_cpu(cpu_devices)
    import jax

    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        with contextlib.suppress(UserError):  # Without a home, programs are compiled again each time.
            jax.config.update("jax_compilation_cache_dir", str(writable_folder(compilation_cache())))


def set_up_where_unused() -> bool:
    """`set_up` for calls from any program; changes nothing if the program already uses JAX in its own way.

    JAX is in use if the process has computed with it, or if the number of CPU devices has been chosen, by
    `jax_num_cpu_devices` or XLA's flag. SPLICE_JAX_SET_UP=0 in the environment has the same effect.

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
    """Divides the CPU; returns False if the process has already computed, which fixes its devices."""
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", devices or cores())
    except RuntimeError:
        return False
    return True


def user_cache() -> Path:
    """Where reproducible files are kept: splice_jax in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        UserError: this user has no home.
    """
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "splice_jax"
    try:
        return Path.home() / ".cache" / "splice_jax"
    except RuntimeError as error:
        raise UserError("HOME: is not set, and this user has none; set HOME or XDG_CACHE_HOME to a folder") from error


def compilation_cache() -> Path:
    """The user's folder of compiled programs, one per kind of processor, since machines may share a home."""
    return user_cache() / "compiled" / hashlib.sha256(_processor().encode()).hexdigest()[:16]


def _processor() -> str:
    """What a compiled program depends on: the architecture and, if available, the instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    known = (line for line in lines if line.startswith(("flags", "Features")))
    return f"{platform.machine()} {platform.processor()} {next(known, '')}"


def keep_memory() -> bool:
    """Lets glibc keep freed memory for the next step's buffers; does nothing with other C libraries.

    XLA's CPU buffers are so large that each would be mapped, zeroed page by page and unmapped again at every step:
    about a quarter of the processor time. Call it before the first computation.

    Returns:
        whether the C library accepted all settings.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, value) for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1)))
