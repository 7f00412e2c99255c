"""Keeps the C library from handing memory back between steps."""

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


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
