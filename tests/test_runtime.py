import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from splice_jax import runtime


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_freed_memory_is_kept() -> None:
    """In a process of its own, for the settings cannot be taken back."""
    program = """
import resource
from splice_jax.runtime import keep_memory
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


def set_up_elsewhere(tmp_path: Path, *, arguments: str = "", **environment: str) -> list[str]:
    """What `set_up` leaves, in a process of its own: devices, and where compiled programs go."""
    program = f"""
import jax
from splice_jax import runtime
runtime.set_up({arguments})
print(jax.local_device_count(), jax.config.jax_compilation_cache_dir, runtime.compilation_cache())
"""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_"))}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    return subprocess.check_output([sys.executable, "-c", program], text=True, env=inherited | environment).split()


def test_every_core_is_a_device_and_compiled_programs_are_kept_in_the_users_own_cache(tmp_path: Path) -> None:
    devices, used, own = set_up_elsewhere(tmp_path)
    assert int(devices) == os.cpu_count()
    assert used == own
    assert Path(own).is_relative_to(tmp_path / "splice_jax")


def test_a_cache_and_a_number_of_devices_that_the_user_chose_are_obeyed(tmp_path: Path) -> None:
    devices, used, _ = set_up_elsewhere(tmp_path, arguments="3", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "mine"))
    assert (devices, used) == ("3", str(tmp_path / "mine"))


def test_processors_do_not_share_compiled_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = runtime.compilation_cache()
    assert runtime.compilation_cache() == here
    monkeypatch.setattr(runtime, "_processor", lambda: "another")
    assert runtime.compilation_cache() != here


def test_a_process_that_has_computed_keeps_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "keep_memory", lambda: True)
    before = jax.local_device_count()
    jax.block_until_ready(jax.numpy.ones(3) + 1)
    runtime.set_up(before + 1)
    assert jax.local_device_count() == before
