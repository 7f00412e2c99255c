import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_freed_memory_is_kept():
    """In a process of its own, for the settings cannot be taken back."""
    program = """
import resource
from splice_jax.allocator import keep_memory
assert keep_memory()
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"1") * (1 << 26)  # written to, then freed
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""
    faults = [int(n) for n in subprocess.check_output([sys.executable, "-c", program], text=True).split()]
    assert faults[0] > 10 * max(1, faults[2])
