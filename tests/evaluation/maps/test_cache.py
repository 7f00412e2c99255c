"""Maps that were damaged after they were made."""

import io
from pathlib import Path

import numpy as np
import pytest

from splice_jax.errors import UserError
from splice_jax.evaluation.maps.cache import read_labels, read_map, write_labels, write_map
from splice_jax.images import encode_png


def test_what_is_written_is_read(tmp_path: Path) -> None:
    levels = np.arange(60, dtype=np.uint16).reshape(6, 10) * 1000
    write_map(tmp_path / "a.png", levels)
    np.testing.assert_array_equal(read_map(tmp_path / "a.png"), levels)
    write_labels(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.npy"), np.ones((2, 3)))


@pytest.mark.parametrize("content", [b"", b"x", encode_png(np.zeros((4, 5, 3), np.uint8))])
def test_what_is_no_map_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: "):
        read_map(tmp_path / "a.png")


def test_what_are_no_labels_is_refused(tmp_path: Path) -> None:
    archive, pickled, bracket = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(archive, a=np.ones(3))
    np.save(pickled, np.array([{}], object), allow_pickle=True)
    np.save(bracket, np.ones(3))
    contents = archive.getvalue(), pickled.getvalue(), bracket.getvalue().replace(b"}", b"("), b""
    for content in contents:
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read .*; evaluate without"):
            read_labels(tmp_path / "a.npy")
