"""What all tests share: JAX on two virtual CPU devices, a cache of their own, a tiny trained run, real photographs."""

import gc
import importlib.metadata
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from splice_jax.runs.builtin import default
from tests.killing import Killed

# Read when JAX is first imported, by the tests or by the commands they start. Networks this small compile for much
# longer than they run: without optimization, and without emitters that later versions may not know, in an eighth.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
if importlib.metadata.version("jax").startswith("0.10."):
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

gc.set_threshold(20_000, 20, 20)  # The search for garbage took 5 % of the time of tests that trace networks.

_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
_TRAIN_SIZES = ((64, 64), (130, 100), (100, 128), (64, 96), (130, 70), (90, 64), (128, 128))
_VALIDATION_SIZES = ((64, 64), (70, 130))


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> None:
    """A shell starts commands in the background with Ctrl-C ignored, which every process of a test would inherit."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _random_numbers(request: pytest.FixtureRequest) -> None:
    """A module's generator begins anew in every test: none depends on which others its worker was given before."""
    module = getattr(request, "module", None)  # Doctests have none.
    for value in vars(module).values() if module else ():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from or left in the user's own cache; what was compiled once need not be again."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "jax"))
        import jax

        jax.config.update("jax_compilation_cache_dir", str(folder / "jax"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _programs(_caches: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        from tests.compiling import share_programs

        share_programs(patch)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real photographs; the test is skipped where it is absent.

    They are not the project's to hand on: they lie beside the checkout, and a clone has none.
    """
    if not _REAL_DATA.is_dir():
        pytest.skip(f"the real photographs are not ours to hand on, and {_REAL_DATA} is absent")
    return _REAL_DATA


@pytest.fixture
def without_pydensecrf(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydensecrf cannot be found, whether it is installed or not."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "pydensecrf" else find(name))


def _write_splices(folder: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    """Noise with a rectangle of other noise in it, as PNG."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        random = np.random.default_rng([height, width, number])
        mask = np.zeros((height, width), bool)
        mask[: height // 2 + 20, 10 : width // 2 + 20] = True
        image = random.normal(120, np.where(mask, 40, 10)[..., None], (height, width, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).convert("L").save(folder / "masks" / f"{number}.png")


@pytest.fixture(scope="session")
def splices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `folder` data set: seven images to train on, two to validate and two to test with."""
    folder = tmp_path_factory.mktemp("splices")
    for split, sizes in {"train": _TRAIN_SIZES, "val": _VALIDATION_SIZES, "test": _VALIDATION_SIZES[::-1]}.items():
        _write_splices(folder / split, sizes)
    return folder


@pytest.fixture(scope="session")
def tiny(splices: Path) -> Callable[..., ConfigDict]:
    """The configuration of a tiny run, fields changed as the arguments say."""

    def configuration(**changes: Any) -> ConfigDict:
        config = default.get_config()
        config.update(
            dataset="folder",
            data_dir=str(splices),
            hidden_size=64,
            num_layers=1,
            batch_size=8,
            patches_per_image=2,
            num_steps=6,
            log_every=2,
            checkpoint_every=3,
            validate_every=4,
        )
        config.update(changes)
        return config

    return configuration


class Outcome(NamedTuple):
    """What a command ended in."""

    code: int
    out: str
    err: str


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Calls train.py or evaluate.py as the command line does, but in this process and on its devices."""
    import jax

    from splice_jax import runtime

    update = jax.config.update
    handlers = logging.root.handlers[:]
    monkeypatch.setattr(jax.config, "update", lambda name, value: name == "jax_num_cpu_devices" or update(name, value))
    monkeypatch.setattr(runtime, "keep_memory", lambda: None)

    def call(name: str, *arguments: object) -> Outcome:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        spec.loader.exec_module(module)
        with pytest.raises(SystemExit) as caught:
            module.main()
        code = caught.value.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    yield call
    logging.root.handlers[:] = handlers


class Run(NamedTuple):
    """A run that was never interrupted."""

    workdir: Path
    config: ConfigDict
    state: Any
    """The final `splice_jax.training.step.State`."""


@pytest.fixture(scope="session")
def tiny_run(tiny: Callable[..., ConfigDict], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six steps on two devices; last checkpoint at 3, 4 and 6, validation at 4 and 6. Not to be changed."""
    from splice_jax.training.loop import train

    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    return Run(workdir, tiny(), train(tiny(), workdir))


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Kills the next run before its n-th "step", or before it saves "best" or "last" of a step."""
    from splice_jax.runs.checkpoints import Checkpoints
    from splice_jax.training.loop import ParallelStep

    moment: list[tuple[str, int]] = []
    save, step = Checkpoints.save, ParallelStep.__call__
    steps = 0

    def strike(what: str, number: int) -> None:
        if moment and moment[0] == (what, number):
            moment.clear()
            raise Killed

    def saving(self: Any, number: int, *arguments: Any) -> None:
        strike(self._directory.name, number)
        save(self, number, *arguments)

    def stepping(self: Any, *arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        strike("step", steps)
        return step(self, *arguments)

    def arm(what: str, number: int) -> None:
        nonlocal steps
        steps = 0
        moment[:] = [(what, number)]

    monkeypatch.setattr(Checkpoints, "save", saving)
    monkeypatch.setattr(ParallelStep, "__call__", stepping)
    yield arm
    assert not moment, "the run was not killed"
