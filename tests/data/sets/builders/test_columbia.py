import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.sets.builders.base import Record
from splice_jax.data.sets.builders.columbia import Columbia
from splice_jax.errors import UserError
from splice_jax.images import read_image, read_mask
from tests.data.sets.builders.making import made


def spliced(left: int) -> np.ndarray:
    mask = np.zeros((96, 120), bool)
    mask[20:50, left : left + 40] = True
    return mask


def read(folder: Path, tmp_path: Path) -> dict[str, list[Record]]:
    return made(Columbia(tmp_path / "out", folder))


def fail(folder: Path, tmp_path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read(folder, tmp_path)
    assert "\n" not in str(caught.value)


def test_green_is_spliced_and_pixels_are_kept(
    columbia: Path, tmp_path: Path, photograph: Callable[[int], np.ndarray]
) -> None:
    records = read(columbia, tmp_path)
    assert list(records) == ["whole", "whole_authentic"]
    names = [record.name for record in records["whole"]]
    assert names == ["canong3_nikond70_sub_01", "canonxt_nikond70_sub_02"]
    for number, record in enumerate(records["whole"]):
        assert record.image.startswith(b"\x89PNG") and not record.authentic
        np.testing.assert_array_equal(read_image(record.image), photograph(number))
        wrong = read_mask(record.mask) != spliced(30 * number + 20)
        assert wrong.mean() < 0.01  # JPEG moves the border by a pixel, and rings far beyond it
    assert [record.name for record in records["whole_authentic"]] == ["canong3_02_sub_01", "canong3_03_sub_01"]
    assert all(record.authentic and not read_mask(record.mask).any() for record in records["whole_authentic"])


def test_some_green_in_red_areas_is_not_spliced(columbia: Path, tmp_path: Path) -> None:
    mask = columbia / "4cam_splc/edgemask/CANONG3_NIKOND70_SUB_01_edgemask.JPG"
    stored = np.array(Image.open(mask))
    assert np.count_nonzero(stored[..., 1] > 0) > 1.1 * np.count_nonzero(spliced(20))
    found = read_mask(read(columbia, tmp_path)["whole"][0].mask)
    assert abs(np.count_nonzero(found) - np.count_nonzero(spliced(20))) < 0.02 * np.count_nonzero(spliced(20))


def test_other_places_of_the_same_folders(columbia: Path, tmp_path: Path) -> None:
    expected = read(columbia, tmp_path)
    shutil.move(columbia / "4cam_splc/edgemask", columbia / "edgemask")
    assert read(columbia, tmp_path) == expected
    (columbia / "inner").mkdir()
    shutil.move(columbia / "4cam_splc", columbia / "inner" / "4cam_splc")
    shutil.move(columbia / "inner", columbia / "4cam_splc")
    assert read(columbia, tmp_path) == expected
    (tmp_path / "above").mkdir()
    shutil.move(columbia, tmp_path / "above" / "Columbia Uncompressed")
    assert read(tmp_path / "above", tmp_path) == expected


def test_broken_folders_are_named(columbia: Path, tmp_path: Path) -> None:
    fail(tmp_path / "none", tmp_path, "none: no such folder; give the unpacked Columbia")
    (tmp_path / "empty").mkdir()
    fail(tmp_path / "empty", tmp_path, "empty: holds no folder 4cam_splc")
    shutil.move(columbia / "4cam_auth", tmp_path / "4cam_auth")
    fail(columbia, tmp_path, "holds no folder 4cam_auth")
    (columbia / "4cam_auth").mkdir()
    fail(columbia, tmp_path, r"4cam_auth: no images in it \(\.tif")
    shutil.rmtree(columbia / "4cam_auth")
    shutil.move(tmp_path / "4cam_auth", columbia / "4cam_auth")
    shutil.move(columbia / "4cam_splc/edgemask", tmp_path / "edgemask")
    fail(columbia, tmp_path, "no folder edgemask inside or beside it")


def test_broken_files_are_named(columbia: Path, tmp_path: Path) -> None:
    mask = columbia / "4cam_splc/edgemask/CANONG3_NIKOND70_SUB_01_edgemask.JPG"
    whole = mask.read_bytes()
    mask.write_bytes(whole[: len(whole) // 2])
    fail(columbia, tmp_path, r"_edgemask\.JPG: broken or truncated")
    Image.fromarray(np.full((96, 120), 255, np.uint8)).save(mask)
    fail(columbia, tmp_path, "not an edge mask in red and green")
    Image.open(columbia / "4cam_splc/edgemask/CANONXT_NIKOND70_SUB_02_edgemask.JPG").crop((0, 0, 120, 80)).save(mask)
    fail(columbia, tmp_path, r"120 x 80 pixels, but canong3_nikond70_sub_01\.TIF has 120 x 96")
    Image.new("RGB", (120, 96), (200, 0, 0)).save(mask)
    fail(columbia, tmp_path, "marks nothing as spliced")
    mask.unlink()
    fail(columbia, tmp_path, r"1 files are missing \(canong3_nikond70_sub_01_edgemask\.jpg\)")


def test_two_images_of_one_name_are_refused(columbia: Path, tmp_path: Path) -> None:
    shutil.copy(columbia / "4cam_auth/canong3_02_sub_01.tif", columbia / "4cam_auth/canong3_02_sub_01.tiff")
    fail(columbia, tmp_path, "has the same name as .*canong3_02_sub_01")
