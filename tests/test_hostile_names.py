"""Names that lead elsewhere: in archives, in tables, in what results are called, and as links."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from splice_jax.data.sets.builders.nc2016 import inside
from splice_jax.errors import UserError
from splice_jax.evaluation.maps.cache import map_path
from splice_jax.images import images_in
from splice_jax.localize import find_images
from splice_jax.weights.archive import load_variables
from splice_jax.weights.files import read_tensors

STRANGE = ["../escaped", "/tmp/escaped", "a/../../escaped", "..\\escaped", "caf\udce9", "a\nb", "x" * 300]


def archive(path: Path, name: str) -> Path:
    content = io.BytesIO()
    np.save(content, np.ones(3, np.float32))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name.encode(errors='replace').decode()}.npy", content.getvalue())
    return path


@pytest.mark.parametrize("name", STRANGE)
def test_members_of_archives_are_never_written_anywhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / "a.npz", name)
    with pytest.raises(UserError, match="does not hold this network"):
        load_variables(path, {"params": {"a": np.ones(3)}})
    assert len(read_tensors(path)) == 1
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


@pytest.mark.parametrize(
    "name", ["../outside.png", "/etc/passwd", "a/../../outside.png", "..\\outside.png", "link.png", ""]
)
def test_names_in_the_reference_stay_in_the_data_set(tmp_path: Path, name: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(b"x")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises((ValueError, UserError)):
        inside(root, name)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", ".."])
def test_maps_of_images_with_any_name_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    path = map_path(tmp_path / "maps", "noi1", name)
    assert path.resolve().parent == (tmp_path / "maps" / "noi1").resolve()


@pytest.mark.parametrize("name", ["..jpg", "...jpg", "a\nb.jpg", "caf\udce9.jpg", "-x.jpg"])
def test_results_stay_in_the_output_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / name
    (tmp_path / "in").mkdir()
    path.write_bytes(b"\xff\xd8\xff")
    for given in ([path], [tmp_path / "in"] if not name.startswith(".") else [path]):
        for stem in find_images(given, tmp_path / "out").values():
            assert os.path.realpath(stem.parent) == os.path.realpath(tmp_path / "out") and stem.name not in (".", "..")


def test_links_to_folders_are_not_followed_and_links_to_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for folder in ("in", "elsewhere"):
        (tmp_path / folder / f"{folder}.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    found = find_images([tmp_path / "in"], tmp_path / "out", recursive=True)
    assert [path.name for path in found] == ["in.jpg"]
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(UserError, match=r"gone\.jpg: a link to .*nowhere\.jpg, which is not there"):
        images_in(tmp_path / "in")
