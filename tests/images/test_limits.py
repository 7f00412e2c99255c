"""Clean is not a bomb: only the number of pixels, of scans and of bytes is limited."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image, read_mask
from tests.images.making import encoded, png, tiff

MEGAPIXELS = "SPLICE_JAX_MAX_MEGAPIXELS"


def blank(width: int, height: int) -> bytes:
    """A PNG of one bit per pixel, all black."""
    compressor = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    rows = b"".join(compressor.compress(line) for _ in range(height)) + compressor.flush()
    file = png(width, height, 1, 0, b"")
    start = file.index(b"IDAT") - 4
    chunk = b"IDAT" + rows
    return file[:start] + struct.pack(">I", len(rows)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + file[-12:]


def test_a_mask_of_21_megapixels_with_one_ellipse_is_read_and_read_back() -> None:
    drawn = Image.new("1", (5616, 3744))
    ImageDraw.Draw(drawn).ellipse((1000, 1000, 3000, 2000), fill=1)
    file = encoded(drawn)
    assert len(file) < 0.01 * 5616 * 3744
    mask = read_mask(file)
    np.testing.assert_array_equal(mask, np.asarray(drawn))
    np.testing.assert_array_equal(read_mask(encode_png(mask)), mask)


@pytest.mark.parametrize(("width", "height"), [(4900, 3700), (7680, 4320), (10_000, 10_000)])
def test_smooth_pictures_are_read_however_few_bytes_they_take(width: int, height: int) -> None:
    assert read_image(blank(width, height)).shape == (height, width, 3)


@pytest.mark.parametrize("side", [10_001, 60_000])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch, side: int, read) -> None:
    files = [png(side, side, 1, 0, b""), tiff(np.zeros((1, 1, 3), np.uint8), 8, 2)]
    files[1] = files[1].replace(struct.pack("<HHII", 256, 4, 1, 1), struct.pack("<HHII", 256, 4, 1, side))
    files[1] = files[1].replace(struct.pack("<HHII", 257, 4, 1, 1), struct.pack("<HHII", 257, 4, 1, side))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    for file in files:
        with pytest.raises(UserError, match=f"^m: {side} x {side} pixels, over 100 megapixels; .*{MEGAPIXELS}"):
            read(file, name="m")


def test_the_limit_can_be_set(monkeypatch) -> None:
    file = encoded(Image.new("L", (1200, 1000)))
    monkeypatch.setenv(MEGAPIXELS, "1")
    with pytest.raises(UserError, match="1200 x 1000 pixels, over 1 megapixels"):
        read_image(file)
    monkeypatch.setenv(MEGAPIXELS, "1.2")
    assert read_image(file).shape == (1000, 1200, 3)
    for wrong in ("many", "-1", "nan"):
        monkeypatch.setenv(MEGAPIXELS, wrong)
        with pytest.raises(UserError, match=f"{MEGAPIXELS}: '{wrong}' is no positive number"):
            read_image(file)


def test_our_limit_replaces_pillows_only_while_a_file_is_read(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_image(encoded(Image.new("L", (50, 50)))).shape == (50, 50, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(("scans", "refused"), [(100, False), (101, True)])
def test_jpegs_of_more_than_100_scans_are_refused(monkeypatch, scans: int, refused: bool) -> None:
    file = encoded(Image.new("L", (16, 16)), "JPEG")
    start = file.index(b"\xff\xda")
    many = file[:start] + file[start:-2] * scans + file[-2:]
    if not refused:
        monkeypatch.setattr(Image.Image, "load", lambda *_: (_ for _ in ()).throw(UserError("decoded")))
    with pytest.raises(UserError, match="over 100 scans" if refused else "decoded"):
        read_image(many)


def test_what_never_ends_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("splice_jax.images.reading._LEAST_BYTES", 2**20)
    monkeypatch.setenv(MEGAPIXELS, "0.01")
    with pytest.raises(UserError, match="^/dev/zero: more than 0.0 GiB"):
        read_image("/dev/zero")


@pytest.mark.parametrize("kind", ["progressive JPEG", "CMYK JPEG", "PNG", "16-bit TIFF"])
def test_reading_takes_at_most_16_bytes_per_pixel_and_500_mb(kind: str, tmp_path: Path) -> None:
    """In a process of its own, which says by how much its memory grew."""
    width, height, file = 6000, 4000, io.BytesIO()
    if kind.endswith("JPEG"):
        mode = "CMYK" if kind.startswith("CMYK") else "RGB"
        Image.new(mode, (width, height), 200).save(file, "JPEG", progressive=True)
    elif kind == "PNG":
        Image.new("RGB", (width, height), 200).save(file, "PNG", compress_level=1)
    else:
        file.write(tiff(np.zeros((height, width, 3), "<u2"), 16, 2))
    (tmp_path / "x").write_bytes(file.getvalue())
    program = f"""
import resource
from splice_jax.images import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = read_image({str(tmp_path / "x")!r})
print(image.shape, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    shape, grown = said.rsplit(maxsplit=1)
    assert shape == f"({height}, {width}, 3)"
    assert int(grown) <= 16 * width * height + 500_000_000 / 4, int(grown) / width / height
