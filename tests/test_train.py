import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from splice_jax.runs.builtin.default import get_config
from splice_jax.runs.checkpoints import BEST, LAST, Checkpoints
from splice_jax.runs.configuration import field_names, load_config

ROOT = Path(__file__).parents[1]
Entry = Callable[..., Any]


def flags(config: ConfigDict) -> list[str]:
    """What turns the default configuration into this one."""
    default = get_config()
    top = [name for name in field_names(config) if "." not in name]
    return [f"--config.{name}={config[name]}" for name in top if config[name] != default[name]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir: say where the run belongs"),
        (["--workdir=DIR", "extra"], "extra: not understood"),
        (["--workdir=DIR", "--wrkdir=x"], "wrkdir"),
        (["--workdir=DIR", "--config=DIR/absent.py"], "absent.py: no such Python file"),
        (["--workdir=DIR", "--config.hidden_sise=64"], "--config.hidden_sise: no such field; did you mean"),
        (["--workdir=DIR", "--config.loss.betta=1"], "did you mean --config.loss.beta?"),
        (["--workdir=DIR", "--config.seed=x"], "--config.seed=x: expected a whole number"),
        (["--workdir=DIR", "--config.loss=1"], "--config.loss: is a section"),
        (["--workdir=DIR", "--config.hidden_size=100"], "config.hidden_size: 100 is none of 64, 256"),
        (
            ["--workdir=DIR", "--config.dataset=casia"],
            "dataset: 'casia' is none of carvalho, columbia, folder, nc2016, synthetic",
        ),
        (["--workdir=DIR", "--config.dataset=folder"], "data_dir: is empty"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line_and_exit_code_2(
    entry: Entry, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = entry("train", *(argument.replace("DIR", str(tmp_path / "run")) for argument in arguments))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_a_mistake_is_told_before_jax_is_loaded() -> None:
    code = "import sys, train; from splice_jax import errors; sys.argv[1:] = ['--config.sed=1']\n"
    code += "try: errors.run(train.main)\nfinally: print({'jax', 'tensorflow_datasets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert done.stderr == "error: --config.sed: no such field; did you mean --config.seed?\n"


def test_flags_and_file_make_the_run_s_configuration(entry: Entry, tmp_path: Path, monkeypatch: Any) -> None:
    calls = []
    monkeypatch.setattr("splice_jax.training.loop.train", lambda config, workdir: calls.append((config, workdir)))
    done = entry("train", "--config=configs/demo.py", f"--workdir={tmp_path}", "--config.loss.beta=5")
    assert done == (0, "", "")
    ((config, workdir),) = calls
    assert (workdir, config.loss.beta, config.hidden_size, config.loss.smooth) == (tmp_path, 5.0, 64, 0.1)
    entry("train", f"--workdir={tmp_path}")
    assert calls[1][0].to_dict() == get_config().to_dict()


def test_a_run_of_another_configuration_and_a_read_only_workdir(
    entry: Entry, tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = entry("train", f"--workdir={tiny_run.workdir}", *flags(tiny_run.config), "--config.loss.beta=1")
    assert done.code == 2
    assert done.err.count("\n") == 1 and "another configuration (loss.beta was 10.0); choose a new" in done.err
    # Permissions do not bind root, who runs many a test.
    monkeypatch.setattr("os.access", lambda *_: False)
    done = entry("train", f"--workdir={tmp_path}", *flags(tiny_run.config))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"error: {tmp_path}: no folder that can be written to (permission denied)")


def damaged(splices: Path, folder: Path, damage: str) -> Path:
    """A copy of the data set with something wrong in its test and training images."""
    shutil.copytree(splices, folder)
    image, mask = "images/0.png", "masks/0.png"
    for split in ("train", "test"):
        place = folder / split
        if damage == "missing":
            shutil.rmtree(folder, ignore_errors=True)
        elif damage == "empty":
            for name in ("images", "masks"):
                shutil.rmtree(place / name)
                (place / name).mkdir()
        elif damage == "image without mask":
            (place / mask).unlink()
        elif damage == "mask without image":
            (place / image).unlink()
        elif damage == "unequal sizes":
            Image.new("L", (10, 20), 255).save(place / mask)
        elif damage == "truncated JPEG":
            (place / image).unlink()
            encoded = io.BytesIO()
            Image.effect_noise((64, 64), 50).convert("RGB").save(encoded, "JPEG")
            (place / "images/0.jpg").write_bytes(encoded.getvalue()[:-500])
        elif damage == "bomb":
            Image.new("1", (10001, 10001)).save(place / image)
    return folder


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "data: no such folder"),
        ("empty", "/images: no images in it"),
        ("image without mask", "images/0.png: has no mask; add "),
        ("mask without image", "masks/0.png: a mask without an image"),
        ("unequal sizes", "masks/0.png: 10 x 20 pixels, but 0.png has "),
        ("truncated JPEG", "images/0.jpg: "),
        ("bomb", "images/0.png: "),
    ],
)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_bad_data_end_in_one_line_and_exit_code_2(
    entry: Entry, tiny_run: Any, splices: Path, tmp_path: Path, command: str, damage: str, message: str
) -> None:
    data = damaged(splices, tmp_path / "data", damage)
    if command == "train":
        arguments = [*flags(tiny_run.config), f"--workdir={tmp_path / 'run'}"]
    else:
        arguments = [f"--workdir={tiny_run.workdir}", "--config.methods=random", "--config.evaluation_name=bad"]
    done = entry(command, *arguments, f"--config.data_dir={data}")
    assert (done.code, done.out) == (2, "")
    *progress, line = done.err.splitlines()
    named = [said for said in (*progress, line) if said.startswith(f"error: {data}")]
    assert named and all(message in said for said in named)
    others = [said for said in (*progress, line) if said not in named]
    assert all(said.startswith((f"preparing folder {data} in ", "error: 2 files cannot be used")) for said in others)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())
    assert not (tiny_run.workdir / "evaluation" / "bad").exists()


def assert_same_run(workdir: Path, other: Path) -> None:
    """Checkpoints bit for bit, and equal lines but for the speed."""
    for kind in (LAST, BEST):
        trees = [Checkpoints(path, kind)._manager.restore(Checkpoints(path, kind).step) for path in (workdir, other)]
        jax.tree.map(np.testing.assert_array_equal, trees[0]["state"], trees[1]["state"])
        assert trees[0]["record"] == trees[1]["record"]
    lines = [(path / "metrics.jsonl").read_text().splitlines() for path in (workdir, other)]
    without_speed = [[line.partition(', "patches_per_second"')[0] for line in of_run] for of_run in lines]
    assert without_speed[0] == without_speed[1]


def test_the_process_killed_and_started_again_trains_the_same_network(
    tiny: Callable[..., ConfigDict], tiny_run: Any, tmp_path: Path
) -> None:
    config = tiny(cpu_devices=2)  # As many as this process has.
    command = [sys.executable, str(ROOT / "train.py"), f"--workdir={tmp_path / 'killed'}", *flags(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "killed" / "checkpoints" / LAST / "3").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_config(tmp_path / "killed").to_dict() == config.to_dict()
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "killed: going on after step " in done.stdout
    assert_same_run(tmp_path / "killed", tiny_run.workdir)
