from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.sets.builders.base import Record
from splice_jax.data.sets.builders.carvalho import Carvalho
from splice_jax.errors import UserError
from splice_jax.images import nearest, read_mask
from tests.data.sets.builders.making import made

MASKS = Path("tifs-database/DSO-1-Fake-Images-Masks")
IMAGES = Path("tifs-database/DSO-1")


def read(folder: Path, tmp_path: Path) -> dict[str, list[Record]]:
    return made(Carvalho(tmp_path / "out", folder))


def fail(folder: Path, tmp_path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read(folder, tmp_path)
    assert "\n" not in str(caught.value)


def test_black_is_spliced_and_files_are_kept(carvalho: Path, tmp_path: Path) -> None:
    records = read(carvalho, tmp_path)
    assert [record.name for record in records["whole"]] == ["splicing-01", "splicing-02"]
    assert [record.name for record in records["whole_authentic"]] == ["normal-01"]
    for record in (*records["whole"], *records["whole_authentic"]):
        assert record.image == (carvalho / IMAGES / f"{record.name}.png").read_bytes()
    expected = np.zeros((96, 120), bool)
    expected[20:50, 30:70] = True
    for record in records["whole"]:  # the second mask has half the size
        np.testing.assert_array_equal(read_mask(record.mask), expected)


def test_the_archives_own_folder_does_as_well(carvalho: Path, tmp_path: Path) -> None:
    assert read(carvalho / "tifs-database", tmp_path) == read(carvalho, tmp_path)


@pytest.mark.parametrize("size", [(96, 120), (97, 119), (48, 60), (31, 200)])
def test_resampling_agrees_with_pillow(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((60, 75)) > 0.5
    pillow = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(nearest(mask, size), np.array(pillow))


def test_broken_trees_are_named(carvalho: Path, tmp_path: Path) -> None:
    mask = carvalho / MASKS / "splicing-01.png"
    Image.new("L", (96, 120)).save(mask)
    fail(carvalho, tmp_path, r"splicing-01\.png: 96 x 120 pixels, but splicing-01\.png has 120 x 96")
    Image.new("L", (120, 96), 255).save(mask)
    fail(carvalho, tmp_path, "marks nothing as spliced")
    Image.new("L", (120, 96), 0).save(mask)
    fail(carvalho, tmp_path, "marks everything as spliced")
    mask.unlink()
    fail(carvalho, tmp_path, r"1 files are missing \(splicing-01\.png\)")
    for path in (carvalho / IMAGES).iterdir():
        path.unlink()
    fail(carvalho, tmp_path, r"DSO-1: no images in it \(\.png\)")
    (carvalho / MASKS).rename(carvalho / "elsewhere")
    fail(carvalho, tmp_path, "holds no folder DSO-1-Fake-Images-Masks")


def test_an_image_cut_short_is_named(carvalho: Path, tmp_path: Path) -> None:
    image = carvalho / IMAGES / "splicing-02.png"
    image.write_bytes(image.read_bytes()[:3000])
    fail(carvalho, tmp_path, r"splicing-02\.png: broken or truncated")


@pytest.mark.parametrize("name", [IMAGES / "splicing-01.png", MASKS / "splicing-02.png"])
def test_a_broken_link_is_named(name: Path, carvalho: Path, tmp_path: Path) -> None:
    (carvalho / name).unlink()
    (carvalho / name).symlink_to("gone")
    fail(carvalho, tmp_path, f"{name}: a link to gone, which is not there; mend or remove the link")
