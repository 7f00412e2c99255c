"""How the files of a `folder` data set are taken: names of masks, orientation, black masks, files of no use."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from splice_jax.data import Split, open_split
from splice_jax.data.sets import verify
from splice_jax.data.sets.reading import Reading
from splice_jax.errors import UserError
from splice_jax.images import IMAGE_SUFFIXES

REGION = np.zeros((48, 64), bool)
REGION[5:20, 30:60] = True
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
PICTURE[REGION] = 255


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    return tmp_path / "set"


def save(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(pixels)
    image.save(path, exif=exif) if orientation != 1 else image.save(path)
    return path


def pair(folder: Path, name: str, mask: np.ndarray = REGION, suffix: str = ".png") -> None:
    save(folder / "images" / f"{name}.png", PICTURE)
    save(folder / "masks" / f"{name}{suffix}", mask.astype(np.uint8) * 255)


def opened(folder: Path, *, authentic: bool = False, **reading) -> Split:
    return open_split("folder", str(folder), "test", include_authentic=authentic, reading=Reading(**reading))


PATTERNS = {
    "x_gt.png": "{stem}_gt",
    "x_mask.bmp": "{stem}_mask",
    "x_edgemask.jpg": "{stem}_edgemask.jpg",
    "x.gif": "{stem}",
    "gt-x.tif": "gt-{stem}",
    "x.jpg_mask.png": "{stem}.jpg_mask",
}


@pytest.mark.parametrize("name", PATTERNS)
def test_masks_of_other_names_are_found_by_their_pattern(folder: Path, name: str) -> None:
    save(folder / "images" / "x.png", PICTURE)
    save(folder / "masks" / name, REGION.astype(np.uint8) * 255)
    (split,) = opened(folder, mask_pattern=PATTERNS[name])
    np.testing.assert_array_equal(split.mask, REGION)
    if name != "x.gif":
        with pytest.raises(
            UserError, match="x.png: has no mask x.png, but .* is near; set mask_pattern=(.*)$"
        ) as caught:
            opened(folder)
        suggested = str(caught.value).rpartition("=")[2]
        assert len(opened(folder, mask_pattern=suggested)) == 1


def test_a_pattern_chooses_among_several_masks(folder: Path) -> None:
    pair(folder, "x", suffix="_gt.png")
    save(folder / "masks" / "x_other.png", np.zeros_like(REGION))
    (example,) = opened(folder, mask_pattern="{stem}_gt")
    np.testing.assert_array_equal(example.mask, REGION)
    with pytest.raises(UserError, match="mask_pattern: 'x' does not contain {stem}"):
        opened(folder, mask_pattern="x")
    assert ".gif" in IMAGE_SUFFIXES


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, by Pillow."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    with Image.open(file) as image:
        return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize(("orientation", "square"), list(itertools.product(range(1, 9), [False, True])))
def test_image_and_mask_lie_on_each_other(folder: Path, orientation: int, square: bool) -> None:
    """A mask drawn on the stored pixels, one drawn on the picture as displayed, and one with the image's own tag."""
    stored = REGION[:, :48] if square else REGION
    displayed = turned(stored.astype(np.uint8) * 255, orientation) > 0
    save(folder / "images" / "x.png", PICTURE[:, :48] if square else PICTURE, orientation)
    decided = not square and orientation > 4  # Only one reading fits in size.
    for choice, drawn, tag in (("stored", stored, 1), ("displayed", displayed, 1), ("", stored, orientation)):
        save(folder / "masks" / "x.png", drawn.astype(np.uint8) * 255, tag)
        if choice and orientation > 1 and not decided:
            with pytest.raises(
                UserError, match=f"x.png: EXIF orientation 1, but x.png has {orientation}; set mask_ori"
            ):
                opened(folder)
        (example,) = opened(folder, mask_orientation=choice)
        np.testing.assert_array_equal(example.mask, displayed)
        assert (example.image[example.mask] == 255).all()
        findings = verify.verify("folder", str(folder), reading=Reading(mask_orientation=choice))
        counted = {finding.check: finding.found[:2] for finding in findings if finding.check == "mask not turned"}
        assert counted == ({"mask not turned": "1:"} if choice and orientation > 1 else {})


def test_an_image_with_a_black_mask_is_authentic_and_said_to_be(folder: Path, capsys) -> None:
    pair(folder, "a")
    pair(folder, "b", np.zeros_like(REGION))
    split = opened(folder, authentic=True)
    assert [(example.name, example.authentic) for example in split] == [("a", False), ("b", True)]
    assert "masks/b.png: marks nothing; b.png counts as authentic\n" in capsys.readouterr().err
    assert [example.name for example in opened(folder)] == ["a"]


def test_a_set_may_be_all_authentic(folder: Path) -> None:
    pair(folder, "a", np.zeros_like(REGION))
    assert len(opened(folder)) == 0
    assert [example.authentic for example in opened(folder, authentic=True)] == [True]


def test_all_files_of_no_use_are_named_in_one_go_or_left_out(folder: Path, capsys) -> None:
    for name in "abcd":
        pair(folder, name)
    (folder / "images" / "a.png").write_bytes(b"text")
    save(folder / "masks" / "c.png", np.full(REGION.shape, 100, np.uint8))
    (folder / "images" / "notes.txt").write_text("text")
    with pytest.raises(
        UserError, match="^2 files cannot be used, named above; mend them, or set skip_unreadable=true$"
    ):
        opened(folder)
    said = capsys.readouterr().err
    assert "images/a.png: not an image but a text" in said and "masks/c.png: a mask with the values 100" in said
    split = opened(folder, skip_unreadable=True)
    assert [example.name for example in split] == ["b", "d"] and len(split.left_out) == 2
    said = capsys.readouterr().err
    assert said.count("warning: left out: ") == 2
    assert "note: 1 file that is no image was passed over (.txt 1)" in said
    assert len(opened(folder, skip_unreadable=True).left_out) == 2
    found = {line.check: line for line in verify.verify("folder", str(folder), reading=Reading(skip_unreadable=True))}
    assert found["left out"].found.startswith("2: ") and found["left out"].verdict == verify.NOTE


def test_a_jpeg_without_its_end_marker_is_mended_and_listed(folder: Path, capsys) -> None:
    pair(folder, "a")
    (folder / "images" / "a.png").unlink()
    whole = io.BytesIO()
    Image.fromarray(PICTURE).save(whole, "JPEG")
    (folder / "images" / "a.jpg").write_bytes(whole.getvalue()[:-2])
    split = opened(folder)
    assert split.encoded(0)["image"] == whole.getvalue()
    assert "images/a.jpg: lacks the JPEG's end marker" in capsys.readouterr().err
    (found,) = [line for line in verify.verify("folder", str(folder)) if line.check == "odd files"]
    assert found.found.startswith("1: ") and found.verdict == verify.NOTE
