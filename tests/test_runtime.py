import os
import platform
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from splice_jax import runtime
from splice_jax.errors import UserError


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


def elsewhere(tmp_path: Path, program: str, **environment: str) -> list[str]:
    """What a program prints in a process of its own, and then: devices, and where compiled programs go."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_", "XLA_"))}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    program += "\nprint(jax.local_device_count(), jax.config.jax_compilation_cache_dir, runtime.compilation_cache())"
    command = [sys.executable, "-c", f"import jax\nfrom splice_jax import runtime\n{program}"]
    return subprocess.check_output(command, text=True, env=inherited | environment).split()


def set_up_elsewhere(tmp_path: Path, *, arguments: str = "", **environment: str) -> list[str]:
    return elsewhere(tmp_path, f"runtime.set_up({arguments})", **environment)


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


def test_a_cache_that_the_program_chose_is_kept(tmp_path: Path) -> None:
    program = f"jax.config.update('jax_compilation_cache_dir', {str(tmp_path / 'mine')!r}); runtime.set_up(3)"
    assert elsewhere(tmp_path, program)[:2] == ["3", str(tmp_path / "mine")]


def test_where_jax_is_unused_it_is_set_up(tmp_path: Path) -> None:
    done, devices, used, own = elsewhere(tmp_path, "print(runtime.set_up_where_unused())")
    assert (done, int(devices), used) == ("True", os.cpu_count(), own)


@pytest.mark.parametrize(
    ("program", "environment", "devices"),
    [
        ("jax.numpy.ones(3) + 1", {}, 1),
        ("jax.config.update('jax_num_cpu_devices', 3)", {}, 3),
        ("", {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, 3),
        ("", {"SPLICE_JAX_SET_UP": "0"}, 1),
    ],
)
def test_where_jax_is_in_use_nothing_is_changed(
    tmp_path: Path, program: str, environment: dict[str, str], devices: int
) -> None:
    program += "\nruntime.keep_memory = None\nprint(runtime.set_up_where_unused())"  # would raise where it is called
    assert elsewhere(tmp_path, program, **environment)[:3] == ["False", str(devices), "None"]


def test_without_a_home_one_line_says_what_to_set_and_jax_is_set_up_nevertheless(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(UserError, match="^HOME: is not set, and this user has none; set HOME or XDG_CACHE_HOME"):
        runtime.user_cache()


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_commands_work_without_a_home_that_can_be_written_to(tmp_path, home):
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "USER")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1]), "LC_ALL": "C"} | ({"HOME": home} if home else {})
    code = "from splice_jax import runtime\nruntime.set_up(1)\nimport jax\nprint(int(jax.numpy.ones(3).sum()))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
