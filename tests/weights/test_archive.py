import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.weights.archive import load_variables, save_variables

VARIABLES = {
    "params": {
        "conv1": {"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4)},
        "bias": np.array([1e-45, -0.0], np.float32),
    },
    "batch_stats": {"bn1": {"mean": np.array([np.pi], np.float32)}},
}


def refusal(path: Path, like: dict | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load_variables(path, like or VARIABLES)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "network.npz"
    save_variables(VARIABLES, path)
    return path


def test_variables_come_back_bit_for_bit(archive: Path) -> None:
    loaded = load_variables(archive, jax.eval_shape(lambda: VARIABLES))
    bits = [jax.tree.map(lambda leaf: (leaf.dtype, leaf.tobytes()), variables) for variables in (loaded, VARIABLES)]
    assert bits[0] == bits[1]


def test_arrays_are_named_by_their_paths(archive: Path) -> None:
    with np.load(archive) as file:
        assert set(file.files) == {"params/conv1/kernel", "params/bias", "batch_stats/bn1/mean"}
    assert [path.name for path in archive.parent.iterdir()] == ["network.npz"]


def test_arrays_of_jax_are_saved(tmp_path: Path) -> None:
    save_variables({"params": {"a": jax.numpy.ones(3)}}, tmp_path / "a.npz")
    loaded = load_variables(tmp_path / "a.npz", {"params": {"a": np.zeros(3)}})
    np.testing.assert_array_equal(loaded["params"]["a"], 1)


def test_missing_left_over_and_misshapen_arrays_are_named(archive: Path) -> None:
    like = {
        "params": {"conv1": {"kernel": np.zeros((2, 4, 3))}, "scale": np.zeros(2)},
        "batch_stats": VARIABLES["batch_stats"],
    }
    message = refusal(archive, like)
    assert message.endswith(": params/bias, params/scale, params/conv1/kernel")
    assert "batch_stats" not in message


def test_what_is_no_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent.npz")
    assert "directory" in refusal(tmp_path)
    whole = archive.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(np.float32(np.pi).tobytes())] ^= 1
    np.save(tmp_path / "array.npy", np.ones(3))
    for content in (b"", b"text", whole[:-30], whole[:100], bytes(flipped), (tmp_path / "array.npy").read_bytes()):
        path = tmp_path / "broken.npz"
        path.write_bytes(content)
        assert "cannot be read as a .npz file of weights" in refusal(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pickled.npz"
    objects: dict[str, Any] = {"params/a": np.array([None, {}])}
    np.savez(path, **objects)
    assert "cannot be read" in refusal(path, {"params": {"a": np.zeros(2)}})


def test_a_member_that_is_no_array_is_misshapen(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("params/a", "text")
    assert refusal(path, {"params": {"a": np.zeros(2)}}).endswith("misshapen: params/a")


def test_a_failed_save_leaves_the_old_file(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(ValueError):
        save_variables({"params": {"a": [[1], [2, 3]]}}, archive)
    assert archive.read_bytes() == before
