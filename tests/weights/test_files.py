"""Tensors from files: what comes back, what is refused, and that nothing hostile runs."""

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from splice_jax.errors import UserError
from splice_jax.weights.files import read_tensors

ARRAYS: dict[str, Any] = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "bn1.bias": np.array([1.5, -0.0], np.float16),
    "bn1.running_mean": np.array([1e-300], np.float64),
    "bn1.num_batches_tracked": np.array(7),
}


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < len(str(path)) + 300
    return message.removeprefix(f"{path}: ")


def torch_saved(content: Any, path: Path, *, legacy: bool = False) -> Path:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def save_pth(arrays: dict[str, np.ndarray], path: Path) -> None:
    torch_saved(tensors(arrays), path)


def save_legacy(arrays: dict[str, np.ndarray], path: Path) -> None:
    torch_saved(tensors(arrays), path, legacy=True)


def save_npz(arrays: dict[str, Any], path: Path) -> None:
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("save", "suffix"),
    [(save_pth, ".pth"), (save_legacy, ".pt"), (save_file, ".safetensors"), (save_npz, ".npz"), (save_npz, ".NPZ")],
)
def test_tensors_come_back_bit_for_bit(save: Callable, suffix: str, tmp_path: Path) -> None:
    save(ARRAYS, tmp_path / "saved.npz")
    path = (tmp_path / "saved.npz").rename(tmp_path / f"weights{suffix}")
    found = read_tensors(path)
    assert {name: (array.dtype, array.shape, array.tobytes()) for name, array in found.items()} == {
        name: (array.dtype, array.shape, array.tobytes()) for name, array in ARRAYS.items()
    }


def test_parameters_with_gradients_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    layer = torch.nn.Linear(2, 1)
    path = torch_saved(dict(layer.named_parameters()), tmp_path / "a.pth")
    np.testing.assert_array_equal(read_tensors(path)["weight"], layer.weight.detach().numpy())


class Hostile:
    """Makes a file when it is unpickled without care."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.victim}",)


def hostile_file(form: str, folder: Path, victim: Path) -> Path:
    content = {"conv1.weight": Hostile(victim)}
    if form == "npz":
        save_npz({"conv1.weight": np.array([Hostile(victim)])}, folder / "hostile.npz")
        return folder / "hostile.npz"
    if form in ("zip", "legacy"):
        return torch_saved(content, folder / "hostile.pth", legacy=form == "legacy")
    path = folder / ("hostile.pth" if form == "pickle" else f"hostile.{form}")
    path.write_bytes(pickle.dumps(content))
    return path


def load_carelessly(form: str, path: Path) -> None:
    if form in ("zip", "legacy"):
        import torch

        torch.load(path, weights_only=False)
    elif form == "npz":
        with np.load(path, allow_pickle=True) as members:
            members["conv1.weight"]
    else:
        pickle.loads(path.read_bytes())


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "npz", "safetensors"])
def test_a_hostile_file_is_refused_and_runs_nothing(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "pickle":
        pytest.importorskip("torch", reason="needs the extra [torch]")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    victim = tmp_path / "victim"
    path = hostile_file(form, tmp_path, victim)
    load_carelessly(form, path)
    assert victim.exists()  # it is hostile indeed
    victim.unlink()
    message = refusal(path)
    assert not victim.exists()
    if form in ("zip", "legacy"):
        assert message.startswith("refused, for it is damaged or holds more than tensors")
        assert "posix.system" in message and "weights_only" not in message


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    path = torch_saved(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    assert "torch.nn.modules.linear.Linear" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, 5])
def test_what_is_no_dictionary_of_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    path = torch_saved(content, tmp_path / "a.pth")
    assert refusal(path) == "holds no dictionary of tensors; save the network's state_dict() alone"


def test_without_pytorch_pth_is_refused_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "a.pth").write_bytes(b"")
    message = refusal(tmp_path / "a.pth")
    assert "pip install 'splice_jax[torch]'" in message and message.endswith("the same weights as .safetensors")
    save_file(ARRAYS, tmp_path / "a.safetensors")
    assert set(read_tensors(tmp_path / "a.safetensors")) == set(ARRAYS)


def test_a_pytorch_that_is_not_safe_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    path = torch_saved(tensors(ARRAYS), tmp_path / "a.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    monkeypatch.setattr(torch, "load", None)
    assert refusal(path) == "PyTorch 2.9.1+cpu does not load files safely; upgrade to 2.10 or later"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
def test_damaged_files_are_refused(suffix: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{suffix}"
    savers: dict[str, Callable] = {".pth": save_pth, ".safetensors": save_file, ".npz": save_npz}
    savers[suffix](ARRAYS, whole)
    saved = whole.read_bytes()
    path = tmp_path / f"broken{suffix}"
    for content in (b"", b"text", b"\x1b[31m" * 99, saved[:-30], saved[:100], b"\xff" * 8 + saved[8:]):
        path.write_bytes(content)
        message = refusal(path)
        assert message.startswith(("cannot be read as a ", "refused, for it is damaged or holds more than tensors"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bfloat16_becomes_float32(suffix: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    from safetensors.torch import save_file as save_tensors

    values = torch.tensor([1.0, -(2.0**-100), 3.140625]).to(torch.bfloat16)
    (torch.save if suffix == ".pth" else save_tensors)({"a": values}, tmp_path / f"a{suffix}")
    found = read_tensors(tmp_path / f"a{suffix}")["a"]
    assert (found.dtype, found.tolist()) == (np.float32, [1.0, -(2.0**-100), 3.140625])


def test_a_tensor_that_is_no_array_is_named(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [torch]")
    path = torch_saved({"a": torch.ones(2), "b": torch.eye(2).to_sparse()}, tmp_path / "a.pth")
    assert refusal(path).startswith("cannot be read as a .pth file of weights (b: ")


def test_a_member_that_is_no_array_is_named(tmp_path: Path) -> None:
    path = torch_saved(tensors(ARRAYS), tmp_path / "a.pth").rename(tmp_path / "a.npz")
    assert refusal(path).endswith(": is no array)")


def test_other_suffixes_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"")
    assert refusal(tmp_path / "a.bin") == "its suffix is none of .pth, .pt, .safetensors, .npz"
    assert refusal(tmp_path / "b.pth") == "cannot be opened (no such file or directory); check the path"
    assert refusal(tmp_path) == "cannot be opened (is a directory); check the path"


def test_the_hash_in_a_name_is_verified(tmp_path: Path) -> None:
    save_npz(ARRAYS, tmp_path / "plain.npz")
    digest = hashlib.sha256((tmp_path / "plain.npz").read_bytes()).hexdigest()
    other = f"{int(digest[:8], 16) ^ 1:08x}"
    for name in (f"net-{digest[:8]}.npz", f"net-2-{digest}.npz", "net-abc.npz", "net-version1.npz", f"net{other}.npz"):
        path = (tmp_path / "plain.npz").rename(tmp_path / name)
        assert set(read_tensors(path)) == set(ARRAYS)
        path.rename(tmp_path / "plain.npz")
    path = (tmp_path / "plain.npz").rename(tmp_path / f"net-{other}.npz")
    assert refusal(path).startswith(f"its SHA-256 begins with {digest[:8]}, not with {other} as its name says; ")


@pytest.mark.parametrize("legacy", [True, False])
def test_a_name_without_end_is_refused_before_pytorch_searches_it(tmp_path: Path, legacy: bool) -> None:
    path = torch_saved({"a" * 1_000_000: 1}, tmp_path / "a.pth", legacy=legacy)
    assert "a name of 1,000,000 characters" in refusal(path)


def test_a_name_that_lacks_its_end_is_refused_before_pytorch_searches_it(tmp_path: Path) -> None:
    path = torch_saved({"a": 1}, tmp_path / "a.pth", legacy=True)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"}")] + b"c" + b"a" * 1_000_000)
    assert "a name without an end" in refusal(path)
