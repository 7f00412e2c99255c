"""JPEGs cut near their end, against the whole file's pixels; JPEGs of other kinds, by name."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import read_image, read_picture, with_end
from splice_jax.jpeg import read_luma
from tests.images.making import encoded

NOISE = np.random.default_rng(0).integers(0, 256, (72, 88, 3), np.uint8)
SMOOTH = np.linspace(0, 255, 72 * 88 * 3).reshape(72, 88, 3).astype(np.uint8)
KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "baseline, subsampled": {"subsampling": 2},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "coarse": {"quality": 5},
}
MODES = ["L", "RGB", "CMYK"]


def jpeg(picture: np.ndarray, mode: str, kind: str) -> bytes:
    return encoded(Image.fromarray(picture).convert(mode), "JPEG", **KINDS[kind])


def cut_or_equal(file: bytes, whole: np.ndarray) -> bool:
    """Whether a file is refused; if not, it must have the whole file's pixels and say so."""
    try:
        picture = read_picture(file, name="x")
    except UserError as error:
        assert str(error).startswith("x: broken or truncated (the JPEG's data end before the picture does)")
        return True
    np.testing.assert_array_equal(picture.pixels, whole)
    assert picture.notes == ("lacks the JPEG's end marker; all its pixels are there",)
    return False


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", [NOISE, SMOOTH], ids=["noise", "smooth"])
def test_only_the_end_marker_may_be_missing(mode: str, kind: str, picture: np.ndarray) -> None:
    file = jpeg(picture, mode, kind)
    whole = read_picture(file).pixels
    assert file.endswith(b"\xff\xd9")
    assert not cut_or_equal(file[:-1], whole) and not cut_or_equal(file[:-2], whole)
    refused = [cut_or_equal(file[:-length], whole) for length in range(3, 65)]
    assert all(refused[1:])
    assert refused[0] or (mode, kind) == ("CMYK", "progressive")  # K is constant: whatever comes last means nothing.
    for length in np.random.default_rng(1).integers(65, len(file) - 4, 50):
        assert cut_or_equal(file[: len(file) - length], whole)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"progressive"}))
def test_an_end_marker_put_behind_a_cut_hides_nothing(mode: str, kind: str) -> None:
    """A progressive file may end after any scan; what the scans before it show is a picture."""
    for picture in (NOISE, SMOOTH):
        file = jpeg(picture, mode, kind)
        whole = read_picture(file).pixels
        for length in (3, 4, 6, 10, 19, 34, 100, len(file) // 3):
            with pytest.raises(UserError, match="^x: broken or truncated"):
                read_picture(file[:-length] + b"\xff\xd9", name="x")
        np.testing.assert_array_equal(read_picture(file[:-2] + b"\0spare\xff\xd9").pixels, whole)


def test_a_restart_marker_behind_the_last_interval_is_none_too_few() -> None:
    file = jpeg(NOISE, "RGB", "restarts")
    end = file.rindex(b"\xff\xd9")
    whole = read_picture(file).pixels
    for marker in (b"\xff\xd0", b"\xff\xd3"):
        np.testing.assert_array_equal(read_picture(file[:end] + marker + file[end:]).pixels, whole)


def test_blocks_that_nobody_sees_do_not_hide_missing_bytes() -> None:
    """Beyond the edge of 8 x 24 pixels coded 16 x 16 at a time, they use up much of what follows a cut."""
    noise = np.random.default_rng(10).integers(0, 256, (24, 8, 3), np.uint8)
    file = encoded(Image.fromarray(noise), "JPEG", optimize=True, subsampling=2)
    assert cut_or_equal(file[:-25], read_picture(file).pixels)


@pytest.mark.parametrize("mode", MODES)
def test_a_progressive_jpeg_that_lacks_whole_scans_is_refused(mode: str) -> None:
    file = jpeg(NOISE, mode, "progressive")
    starts = [at for at in range(len(file)) if file.startswith(b"\xff\xda", at)]
    tables = [file.rindex(b"\xff\xc4", 0, at) for at in starts[1:]]
    assert len(starts) > 3
    whole = read_picture(file).pixels
    assert all(cut_or_equal(file[:at], whole) for at in starts[1:] + tables)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("length", [1, 2])
def test_the_coefficients_of_a_jpeg_without_its_end_marker_are_read(mode: str, length: int) -> None:
    file = jpeg(NOISE, mode, "baseline")
    np.testing.assert_array_equal(read_luma(file[:-length]).coefficients, read_luma(file).coefficients)
    assert with_end(file[:-length]) == file


def test_what_follows_the_end_marker_does_not_matter() -> None:
    file = jpeg(NOISE, "RGB", "baseline")
    picture = read_picture(file + b"more\xff")
    np.testing.assert_array_equal(picture.pixels, read_image(file))
    assert picture.notes == () and with_end(file + b"more\xff") == file + b"more\xff"
    assert with_end(b"no JPEG") == b"no JPEG"


@pytest.mark.parametrize(
    ("frame", "bits", "channels", "reason"),
    [
        (0xC1, 12, 3, "a 12-bit JPEG"),
        (0xC3, 8, 3, "a lossless JPEG"),
        (0xC3, 14, 1, "a lossless JPEG"),
        (0xC9, 8, 3, "an arithmetic-coded JPEG"),
        (0xCA, 8, 3, "an arithmetic-coded JPEG"),
        (0xC5, 8, 3, "a hierarchical JPEG"),
        (0xC0, 8, 2, "a 2-channel JPEG"),
        (0xC0, 8, 5, "a 5-channel JPEG"),
    ],
)
def test_jpegs_that_are_not_read_are_named(frame: int, bits: int, channels: int, reason: str) -> None:
    file = bytearray(jpeg(NOISE, "RGB", "baseline"))
    at = file.index(b"\xff\xc0")
    file[at + 1], file[at + 4], file[at + 9] = frame, bits, channels
    with pytest.raises(UserError, match=f"^x: {reason}, which is not read; save it as PNG or 8-bit TIFF$"):
        read_image(bytes(file), name="x")


def test_a_12_bit_and_a_lossless_jpeg_of_another_encoder_are_named() -> None:
    codecs = pytest.importorskip("imagecodecs")
    grey = (NOISE[:, :, 0].astype(np.uint16) << 4) | 5
    with pytest.raises(UserError, match="12-bit JPEG"):
        read_image(codecs.jpeg_encode(grey, bitspersample=12))
    with pytest.raises(UserError, match="lossless JPEG"):
        read_image(codecs.jpeg_encode(NOISE, lossless=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_libjpeg_turbos(mode: str, kind: str) -> None:
    codecs = pytest.importorskip("imagecodecs")
    file = jpeg(SMOOTH, mode, kind)
    decoded = codecs.jpeg8_decode(file)
    if mode == "CMYK":
        decoded = np.asarray(Image.fromarray(~decoded, "CMYK").convert("RGB"))  # Adobe's CMYK is inverted.
    difference = read_picture(file).pixels.astype(int) - decoded
    assert np.abs(difference).max() <= 1 and np.mean(difference != 0) < 0.01
