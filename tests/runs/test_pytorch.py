"""Checkpoints of the PyTorch baseline in and out, through the commands."""

import pickle
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ml_collections import ConfigDict

from splice_jax import cli
from splice_jax.images import encode_png
from splice_jax.runs.configuration import load_config
from splice_jax.weights import pickled

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make torch): there are no checkpoints")
from benchmarks import pytorch_baseline as reference  # noqa: E402


class Said(NamedTuple):
    """What a command ended in."""

    code: Any
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*argv: object) -> Said:
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in argv])
        return Said(caught.value.code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network that the twin saved in the middle of training, with one LSTM layer, after two steps of Adam."""
    torch.manual_seed(0)
    twin, path = reference.Baseline("sgn", 1), tmp_path_factory.mktemp("checkpoints") / "model_best.pth.tar"
    random = np.random.default_rng(0)
    images = {size: random.integers(0, 256, (2, size, size, 3), np.uint8) for size in (64, 224)}
    masks = np.stack([np.zeros((64, 64)), np.ones((64, 64))]).astype(np.uint8)
    batch = {"patches": images[64], "thumbnails": images[224], "masks": masks, "labels": masks[:, 0, 0]}
    adam = reference.adam(twin)
    reference.train_epoch(twin, adam, [batch | {"image": np.arange(2)}] * 2)
    torch.save(reference.checkpoint(twin, adam, 12, torch.tensor(345.0)), path)
    return twin, path


def test_a_saved_checkpoint_gives_its_map_through_localize(
    saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path
) -> None:
    twin, path = saved
    image = np.random.default_rng(3).integers(0, 256, (128, 192, 3), np.uint8)
    (tmp_path / "photo.png").write_bytes(encode_png(image))
    run, maps = tmp_path / "runs" / "imported", tmp_path / "maps"
    done = command("import-pytorch", path, "--arch=sgn", "--workdir", run)
    assert done == (0, f"{run}: sgn after epoch 12; score it with splice-jax evaluate --workdir={run}\n", "")
    config = load_config(run)
    assert (config.method, config.global_network, config.num_layers, config.border) == ("sgn", "cnn", 1, "crop")
    arguments = tmp_path / "photo.png", "--workdir", run, "--output", maps, "--crf=none", "--raw"
    assert command("localize", *arguments).code == 0
    probability, label = reference.localize(twin, image)
    with np.load(maps / "photo.npz") as found:
        np.testing.assert_allclose(found["probability"], probability, rtol=0, atol=1e-4)
        np.testing.assert_allclose(found["label_probability"], label, rtol=0, atol=1e-4)
    assert np.ptp(probability) > 1e-3


@pytest.mark.parametrize("parallel", [False, True])
def test_a_run_goes_out_and_comes_back_bit_for_bit(
    saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path, parallel: bool
) -> None:
    twin, path = saved
    once, again, out = tmp_path / "once", tmp_path / "again", tmp_path / "out.pth.tar"
    command("import-pytorch", path, "--arch=sgn", "--workdir", once)
    done = command("export-pytorch", "--workdir", once, "--output", out, *["--data-parallel"] * parallel)
    assert done == (0, f"{out}: written\n", "warning: the baseline computes something else, without num_layers=1\n")
    written = torch.load(out, weights_only=True)
    assert (written["epoch"], written["arch"], written["best_acc"]) == (12, "sgn", 345.0)
    state = {name.removeprefix("module."): tensor for name, tensor in written["state_dict"].items()}
    assert all(name.startswith("module.") == parallel for name in written["state_dict"])
    expected = twin.state_dict()
    assert set(state) == set(expected)
    assert all(state[name].dtype == tensor.dtype for name, tensor in expected.items())
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    resumed = reference.Baseline("sgn", 1)
    resumed.load_state_dict(state)
    adam = reference.adam(resumed)
    adam.load_state_dict(written["optimizer"])
    sum(parameter.sum() for parameter in resumed.parameters()).backward()
    adam.step()
    assert command("import-pytorch", out, "--arch=sgn", "--workdir", again).code == 0
    out_again = tmp_path / "out_again.pth.tar"
    command("export-pytorch", "--workdir", again, "--output", out_again, *["--data-parallel"] * parallel)
    written_again = torch.load(out_again, weights_only=True)
    tensors_again, tensors = (content.pop("state_dict") for content in (written_again, written))
    assert written_again == written and list(tensors_again) == list(tensors)
    assert all(torch.equal(tensors_again[name], tensor) for name, tensor in tensors.items())


def test_pytorch_0_4_could_read_what_is_written_and_lacks_no_counter(tmp_path: Path) -> None:
    pickled.write_pickled({"epoch": 1}, tmp_path / "old.pth")
    with open(tmp_path / "old.pth", "rb") as file:
        assert pickle.load(file) == 0x1950A86A20F9469CFC6C  # the magic number that opens the old format
    assert pickled.read_pickled(tmp_path / "old.pth") == {"epoch": 1}


def test_a_bare_state_dict_of_pytorch_0_4_is_a_checkpoint(
    saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path
) -> None:
    names = (name for name in saved[0].state_dict() if not name.endswith("num_batches_tracked"))
    bare = OrderedDict((f"module.{name}", saved[0].state_dict()[name]) for name in names)
    torch.save(bare, tmp_path / "bare.pth", _use_new_zipfile_serialization=False)
    done = command("import-pytorch", tmp_path / "bare.pth", "--arch=sgn", "--workdir", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    out = tmp_path / "out.pth"
    command("export-pytorch", "--workdir", tmp_path / "run", "--output", out, "--data-parallel")
    assert set(torch.load(out, weights_only=True)["state_dict"]) == set(bare)


def test_exporting_a_run_of_this_package_tells_what_the_baseline_does_otherwise(
    tiny_run: Any, command: Callable[..., Said], tmp_path: Path
) -> None:
    done = command("export-pytorch", "--workdir", tiny_run.workdir, "--output", tmp_path / "tiny.pth.tar")
    assert done.code == 0 and done.err.count("\n") == 1
    for words in ("hidden_size=64", "input_normalization=residual", "activation=leaky_relu", "block_order=row"):
        assert words in done.err
    written = torch.load(tmp_path / "tiny.pth.tar", weights_only=True)
    kernel = tiny_run.state.params["local_network"]["conv1"]
    assert written["state_dict"]["encode_lstm.conv1.weight"].shape == kernel.transpose(3, 2, 0, 1).shape


class Hostile:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def refused(command: Callable[..., Said], tmp_path: Path, path: Path, arch: str = "sgn") -> str:
    done = command("import-pytorch", path, f"--arch={arch}", "--workdir", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {path}: ") and done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    return done.err.removeprefix(f"error: {path}: ")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_hostile_pickle_is_refused_and_runs_nothing(
    command: Callable[..., Said], tmp_path: Path, zipped: bool
) -> None:
    hostile, path = Hostile(tmp_path / "ran"), tmp_path / "hostile.pth"
    torch.save({"state_dict": hostile}, path, _use_new_zipfile_serialization=zipped)
    message = refused(command, tmp_path, path)
    assert message.startswith("refused, for it is damaged or holds more than tensors and plain values (Unsupported ")
    path.write_bytes(pickle.dumps(hostile))
    assert refused(command, tmp_path, path).startswith("refused, ")
    assert not (tmp_path / "ran").exists()


def test_what_is_no_checkpoint_is_named(saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path) -> None:
    assert refused(command, tmp_path, tmp_path / "absent.pth").startswith("no such file")
    path, content = tmp_path / "broken.pth", saved[1].read_bytes()
    for cut in (0, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:cut])
        assert refused(command, tmp_path, path).startswith("refused, for it is damaged or")
    others: list[Any] = [[1, 2], {"epoch": 3}, {"state_dict": {}}, {"state_dict": {"weight": "heavy"}}]
    for other in others:
        torch.save(other, path)
        assert refused(command, tmp_path, path).startswith("holds no state_dict of tensors")
    torch.save({"state_dict": {"weight": torch.zeros(2)}, "epoch": "late"}, path)
    assert refused(command, tmp_path, path).startswith("its epoch, best_acc or a num_batches_tracked is no number")


def test_other_tensors_than_the_architecture_has_are_named(
    saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path
) -> None:
    content = torch.load(saved[1], weights_only=True)
    assert refused(command, tmp_path, saved[1], "jcs") == "holds sgn, not jcs; give --arch=sgn\n"
    path = tmp_path / "changed.pth"
    torch.save(content["state_dict"], path)
    assert "left over: global_network.global_network.0.weight, " in refused(command, tmp_path, path, "jcs")
    state = dict(content["state_dict"])
    state["module.extra"] = state.pop("classification.linear.bias")
    state["Segmentation.conv3.weight"] = torch.zeros(32, 1, 3, 3)
    torch.save(content | {"state_dict": state}, path)
    assert refused(command, tmp_path, path) == (
        "does not hold the weights of sgn; missing: classification.linear.bias; left over: extra; "
        "misshapen: Segmentation.conv3.weight is [32, 1, 3, 3], expected [32, 1, 5, 5]\n"
    )


def test_a_size_that_no_network_has_is_named(command: Callable[..., Said], tmp_path: Path) -> None:
    torch.save({"encode_lstm.lstm.weight_hh_l0": torch.zeros(400, 100)}, tmp_path / "small.pth")
    done = command("import-pytorch", tmp_path / "small.pth", "--arch=jcs", "--workdir", tmp_path / "run")
    assert (done.code, done.err.count("\n")) == (2, 1) and "hidden_size: 100 is none of" in done.err


def test_a_workdir_is_never_overwritten_and_training_does_not_go_on_there(
    saved: tuple[Any, Path], command: Callable[..., Said], tmp_path: Path
) -> None:
    from splice_jax.errors import UserError
    from splice_jax.runs.builtin import baseline
    from splice_jax.training.loop import check_workdir

    run = tmp_path / "run"
    run.mkdir()
    assert command("import-pytorch", saved[1], "--arch=sgn", "--workdir", run).code == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    done = command("import-pytorch", saved[1], "--arch=sgn", "--workdir", run)
    assert done == (2, "", f"error: {run}: is not empty; choose a new workdir for the imported run\n")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    config: ConfigDict = baseline.get_config()
    config.num_layers = 1
    with pytest.raises(UserError, match="imported was"):
        check_workdir(config, run)


def test_without_pytorch_the_extra_is_named(
    command: Callable[..., Said], tiny_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    advice = "error: PyTorch's files need PyTorch; install the extra: pip install 'splice_jax[torch]'\n"
    (tmp_path / "x.pth").touch()
    assert command("import-pytorch", tmp_path / "x.pth", "--arch=sgn", "--workdir", tmp_path / "run") == (2, "", advice)
    done = command("export-pytorch", "--workdir", tiny_run.workdir, "--output", tmp_path / "y.pth")
    assert done == (2, "", advice)
    shutil.rmtree(tmp_path)
