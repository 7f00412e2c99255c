import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data import open_split
from splice_jax.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "splice_jax" / "tfds"


@pytest.fixture
def folder(tmp_path, photograph) -> Path:
    """Two images, a JPEG and a BMP, and an authentic one."""
    for kind in ("images", "masks", "authentic"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    Image.fromarray(photograph(0)).save(tmp_path / "set/images/b.jpg", quality=90)
    Image.fromarray(photograph(1)).save(tmp_path / "set/images/a.bmp")
    Image.fromarray(photograph(2)).save(tmp_path / "set/authentic/c.png")
    for name, left in (("a", 30), ("b", 60)):
        Image.fromarray(mask(left)).save(tmp_path / f"set/masks/{name}.png")
    return tmp_path / "set"


def mask(left: int) -> np.ndarray:
    pixels = np.zeros((96, 120), np.uint8)
    pixels[20:50, left : left + 40] = 255
    return pixels


def test_images_and_masks_come_back_in_order_of_name(folder, photograph):
    split = open_split("folder", str(folder), "test")
    assert [example.name for example in split] == ["a", "b"] and len(split) == 2
    np.testing.assert_array_equal(split[0].image, photograph(1))
    np.testing.assert_array_equal(split[0].mask, mask(30) == 255)
    np.testing.assert_array_equal(split[-1].mask, mask(60) == 255)
    assert [example.name for example in split[1:]] == ["b"]
    assert not any(example.authentic for example in split)
    with pytest.raises(IndexError):
        split[2]


def test_jpeg_files_are_kept_byte_for_byte(folder):
    split = open_split("folder", str(folder), "test")
    assert split.encoded(1)["image"] == (folder / "images" / "b.jpg").read_bytes()
    assert split.encoded(0)["image"].startswith(b"\x89PNG")
    np.testing.assert_array_equal(split[1].image, np.array(Image.open(folder / "images" / "b.jpg")))


def test_authentic_images_come_last_when_asked_for(folder, photograph):
    split = open_split("folder", str(folder), "test", include_authentic=True)
    assert [(example.name, example.authentic) for example in split] == [("a", False), ("b", False), ("c", True)]
    assert not split[2].mask.any()
    np.testing.assert_array_equal(split[2].image, photograph(2))


def test_several_splits_and_more_images_than_a_shard_of_names(tmp_path, photograph):
    for split, number in {"train": 12, "val": 1}.items():
        for kind in ("images", "masks"):
            (tmp_path / "sets" / split / kind).mkdir(parents=True)
        for index in range(number):
            Image.fromarray(photograph(index)).save(tmp_path / f"sets/{split}/images/{index}.png")
            Image.fromarray(mask(index)).save(tmp_path / f"sets/{split}/masks/{index}.png")
    train = open_split("folder", str(tmp_path / "sets"), "train")
    assert [example.name for example in train] == sorted(str(index) for index in range(12))
    for example in train:
        np.testing.assert_array_equal(example.image, photograph(int(example.name)))
    assert len(open_split("folder", str(tmp_path / "sets"), "val")) == 1
    with pytest.raises(UserError, match="has no 'test'; it has train, val"):
        open_split("folder", str(tmp_path / "sets"), "test")


def test_a_set_is_prepared_once_and_again_after_a_change(folder, cache, capfd):
    open_split("folder", str(folder), "test")
    first = capfd.readouterr()
    assert first.out == "" and first.err.count("\n") == 1 and f"preparing folder {folder}" in first.err
    open_split("folder", str(folder), "test")
    assert capfd.readouterr() == ("", "")
    Image.fromarray(mask(10)).save(folder / "masks" / "a.png")
    os.utime(folder / "masks" / "a.png", (1, 1))
    assert open_split("folder", str(folder), "test")[0].mask[30, 10]
    assert len(list(cache.iterdir())) == 2


def fail(folder: Path, cache: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        open_split("folder", str(folder), "test")
    assert "\n" not in str(caught.value)
    assert not cache.exists() or not list(cache.rglob("dataset_info.json"))


def test_a_folder_of_another_form_is_refused(tmp_path, cache):
    fail(tmp_path / "missing", cache, "missing: no such folder")
    (tmp_path / "set").mkdir()
    fail(tmp_path / "set", cache, "set: has neither images/")
    (tmp_path / "set" / "images").mkdir()
    fail(tmp_path / "set", cache, "masks: no such folder")
    (tmp_path / "set" / "masks").mkdir()
    fail(tmp_path / "set", cache, "images: no images")
    (tmp_path / "set" / "test").mkdir()
    fail(tmp_path / "set", cache, "both images/ and test/")
    fail(Path(), cache, "neither images/")
    with pytest.raises(UserError, match="data_dir: is empty"):
        open_split("folder", "", "test")


def test_images_and_masks_must_match(folder, cache, photograph):
    extra = folder / "images" / "d.png"
    Image.fromarray(photograph(3)).save(extra)
    fail(folder, cache, r"d\.png: has no mask; add .*masks/d\.png")
    extra.rename(folder / "masks" / "d.png")
    fail(folder, cache, r"masks/d\.png: a mask without an image")
    (folder / "masks" / "d.png").unlink()
    Image.fromarray(photograph(3)).save(folder / "images" / "a.png")
    fail(folder, cache, r"images/a\.png: has the same stem as a\.bmp")
    (folder / "images" / "a.png").unlink()
    Image.fromarray(mask(30)[:50]).save(folder / "masks" / "a.png")
    fail(folder, cache, r"a\.png: 120 x 50 pixels, but a\.bmp has 120 x 96")


def test_a_truncated_jpeg_and_an_image_of_too_many_pixels_are_named(folder, cache):
    whole = (folder / "images" / "b.jpg").read_bytes()
    (folder / "images" / "b.jpg").write_bytes(whole[: len(whole) // 2])
    fail(folder, cache, r"b\.jpg")
    bomb = io.BytesIO()
    Image.new("1", (10000, 10001)).save(bomb, "PNG")
    (folder / "images" / "b.jpg").write_bytes(bomb.getvalue())
    fail(folder, cache, r"b\.jpg: 10000 x 10001 pixels, over 100 megapixels")


def test_a_cache_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="file/splice_jax"):
        open_split("folder", str(folder), "test")


@pytest.mark.parametrize("name", ["images/a.bmp", "masks/a.png", "authentic/c.png"])
def test_a_broken_link_is_named(name, folder, cache):
    (folder / name).unlink()
    (folder / name).symlink_to("/nowhere/a.png")
    fail(folder, cache, f"{name}: a link to /nowhere/a.png, which is not there; mend or remove the link")


def test_a_broken_link_in_place_of_a_folder_is_named(folder, cache, tmp_path):
    (folder / "authentic").rename(tmp_path / "elsewhere")
    (folder / "authentic").symlink_to(tmp_path / "gone")
    fail(folder, cache, "authentic: a link to .*gone, which is not there")
    (tmp_path / "sets").mkdir()
    folder.rename(tmp_path / "sets" / "test")
    (tmp_path / "sets" / "test" / "authentic").unlink()
    open_split("folder", str(tmp_path / "sets"), "test")
    (tmp_path / "sets" / "val").symlink_to("gone")
    with pytest.raises(UserError, match="val: a link to gone, which is not there"):
        open_split("folder", str(tmp_path / "sets"), "test")


def test_a_link_that_leads_somewhere_is_followed(folder, tmp_path):
    (folder / "images" / "a.bmp").rename(tmp_path / "a.bmp")
    (folder / "images" / "a.bmp").symlink_to(tmp_path / "a.bmp")
    assert [example.name for example in open_split("folder", str(folder), "test")] == ["a", "b"]
