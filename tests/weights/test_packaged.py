import hashlib
import pickle
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.weights import packaged
from splice_jax.weights.calibration import Calibration
from splice_jax.weights.packaged import Packaged, load_packaged, save_packaged

VARIABLES = {
    "params": {
        "enter": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([1e-45, -0.0], np.float32)},
        "image": {"kernel": np.full((1, 1), np.pi, np.float32)},
    }
}
LEVELS = np.array([-2, -1, 0.5], np.float32)
CALIBRATION = Calibration(-1.25, 0.5, 2.0, 0.1, LEVELS, np.array(["a", "bc", "a"]), np.array([3, 40]))
ABOUT = {"version": "1", "network": {"width": 8}, "seeds": [0, 1], "trained on": "photographs"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packaged model in the place of the one that comes with the package."""
    path = tmp_path / "weights" / "sgt.npz"
    monkeypatch.setattr(packaged, "FILE", path)
    monkeypatch.setattr(packaged, "CHECKSUM", path.with_suffix(".sha256"))
    save_packaged(Packaged(VARIABLES, CALIBRATION, ABOUT), path)
    return path


def refusal() -> str:
    with pytest.raises(UserError) as caught:
        load_packaged()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_comes_back_bit_for_bit(model: Path) -> None:
    found = load_packaged()
    bits = [jax.tree.map(lambda leaf: (leaf.dtype, leaf.tobytes()), each) for each in (found.variables, VARIABLES)]
    assert bits[0] == bits[1]
    assert found.about == ABOUT
    assert found.calibration.authentic.tolist() == [-2, -1, 0.5]
    assert found.calibration.kinds.tolist() == ["a", "bc", "a"]
    assert found.calibration.checked.tolist() == [3, 40]
    for name in ("map_shift", "map_gate", "slope", "intercept"):
        assert getattr(found.calibration, name) == getattr(CALIBRATION, name)
        assert isinstance(getattr(found.calibration, name), float)
    assert found.calibration.alarm(0.0) == pytest.approx(1 / 3)


def test_its_checksum_stands_beside_it_as_sha256sum_writes_it(model: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert model.with_suffix(".sha256").read_text() == f"{digest}  sgt.npz\n"
    assert (
        save_packaged(load_packaged(), tmp_path / "again.npz")
        == hashlib.sha256((tmp_path / "again.npz").read_bytes()).hexdigest()
    )
    assert sorted(path.name for path in model.parent.iterdir()) == ["sgt.npz", "sgt.sha256"]


def test_a_damaged_file_is_refused_before_it_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.read_bytes()
    monkeypatch.setattr(np, "load", None)
    for content in (b"", whole[:-30], whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]):
        model.write_bytes(content)
        assert refusal() == f"{model}: does not have the checksum in sgt.sha256; install the package again"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0000  sgt.npz\n"])
def test_a_damaged_checksum_is_refused(model: Path, content: bytes) -> None:
    model.with_suffix(".sha256").write_bytes(content)
    assert "does not have the checksum" in refusal()


def test_missing_files_are_named(model: Path) -> None:
    model.with_suffix(".sha256").unlink()
    assert "sgt.sha256: cannot be opened" in refusal()
    model.unlink()
    assert "sgt.npz: cannot be opened" in refusal()


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple:
        return Path.touch, (self.victim,)


def test_nothing_is_unpickled(model: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    pickle.loads(pickle.dumps(Hostile(victim)))
    assert victim.exists()  # it is hostile indeed
    victim.unlink()
    arrays: dict[str, Any] = {"variables/params/a": np.array([Hostile(victim)])}
    np.savez(model, **arrays)
    for content in (model.read_bytes(), pickle.dumps(Hostile(victim))):
        model.write_bytes(content)
        model.with_suffix(".sha256").write_text(hashlib.sha256(content).hexdigest())
        assert "cannot be read" in refusal() and not victim.exists()


@pytest.mark.parametrize("name", ["calibration/slope", "about", "calibration/other", "calibration"])
def test_a_model_of_another_make_is_refused(model: Path, name: str) -> None:
    """With the right checksum: a member is missing, or one too many is there."""
    with np.load(model) as members:
        arrays: dict[str, Any] = {each: members[each] for each in members.files}
    if name in arrays:
        del arrays[name]
    else:
        arrays[f"{name}/x"] = np.ones(1)
    np.savez(model, **arrays)
    model.with_suffix(".sha256").write_text(hashlib.sha256(model.read_bytes()).hexdigest())
    assert refusal().startswith(f"{model}: cannot be read (")
