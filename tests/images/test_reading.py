"""Files of every colour kind against the arrays they were made from."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import uniform_filter

from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image, residual_level, resize, resize_map
from tests.images.making import encoded, png, tiff

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GREY = RGB[:, :, 0]
GREY_RGB = np.stack([GREY] * 3, axis=2)
LOSSLESS = ["PNG", "TIFF", "BMP", "WEBP"]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_rgb_comes_back_exactly(kind):
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(RGB), kind)), RGB)


def test_jpeg_comes_back_nearly():
    ramp = np.broadcast_to(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], (40, 80, 3))
    read = read_image(encoded(Image.fromarray(np.ascontiguousarray(ramp)), "JPEG", quality=95))
    assert read.shape == (40, 80, 3)
    assert np.abs(read.astype(int) - ramp).max() <= 4


@pytest.mark.parametrize("kind", LOSSLESS)
def test_grey_is_repeated(kind):
    read = read_image(encoded(Image.fromarray(GREY), kind))
    np.testing.assert_array_equal(read, GREY_RGB)
    read[0, 0, 0] = 1  # An array of one's own, which can be written to.


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_dropped_not_composited(kind):
    alpha = np.full((5, 7, 1), 1, np.uint8)
    rgba = np.concatenate([RGB, alpha], axis=2)
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(rgba), kind)), RGB)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_keeps_its_grey(kind):
    grey_alpha = np.dstack([GREY, np.zeros_like(GREY)])
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(grey_alpha), kind)), GREY_RGB)


def test_grey_multiplied_by_its_alpha_is_divided_by_it():
    file = encoded(Image.fromarray(np.full((1, 1, 2), 100, np.uint8)), "TIFF")
    associated = file.replace(struct.pack("<HHII", 338, 3, 1, 2), struct.pack("<HHII", 338, 3, 1, 1))
    assert Image.open(io.BytesIO(associated)).mode == "La"
    assert read_image(associated).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("transparency", [None, 1, bytes([0, 100, 255])])
def test_palette_colours_are_looked_up_and_transparency_is_dropped(transparency):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    options = {} if transparency is None else {"transparency": transparency}
    assert read_image(encoded(image, **options)).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]


@pytest.mark.parametrize("options", [{"transparency": (1, 2, 3)}, {}])
def test_a_transparent_colour_is_kept(options):
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(pixels), **options)), pixels)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_1_bit_is_black_and_white(kind):
    bits = Image.fromarray(np.array([[True, False, True]]))
    assert read_image(encoded(bits, kind))[0, :, 1].tolist() == [255, 0, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_bits(kind):
    values = np.array([[0, 255, 256, 0x7FFF, 0x8000, 0xFFFF]], np.uint16)
    read = read_image(encoded(Image.fromarray(values), kind))
    assert read[0, :, 0].tolist() == [0, 0, 1, 127, 128, 255]


def test_16_bit_grey_tiff_with_white_as_0():
    values = np.array([[[0], [0x1234], [0xFFFF]]], "<u2")
    assert read_image(tiff(values, 16, photometric=0))[0, :, 0].tolist() == [255, 255 - 0x12, 0]
    assert read_image(tiff(values, 16, photometric=1))[0, :, 0].tolist() == [0, 0x12, 255]


def test_12_bit_grey_tiff_is_not_dark():
    packed = np.frombuffer(bytes([0xFF, 0xF8, 0x00]), np.uint8).reshape(1, 3, 1)  # The 12-bit values 0xFFF, 0x800.
    file = tiff(packed, 12, photometric=1).replace(
        struct.pack("<HHII", 256, 4, 1, 3), struct.pack("<HHII", 256, 4, 1, 2)
    )
    assert read_image(file)[0, :, 0].tolist() == [255, 128]


def test_16_bit_rgb_keeps_its_upper_bits():
    values = (RGB.astype(np.uint16) << 8) | 0x80
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    np.testing.assert_array_equal(read_image(png(7, 5, 16, 2, rows)), RGB)
    np.testing.assert_array_equal(read_image(tiff(values.astype("<u2"), 16, photometric=2)), RGB)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int32)])
def test_values_of_unknown_white_are_refused(pixels):
    with pytest.raises(UserError, match="x.tif: .* pixels have no agreed white"):
        read_image(encoded(Image.fromarray(pixels), "TIFF"), name="x.tif")


def test_cmyk_ink_becomes_light():
    """Ink on white paper: no ink is white, full cyan has no red, full black is black."""
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, 16:32, 0] = 255
    inks[:, 32:, 3] = 255
    wanted = np.repeat(np.array([[255, 255, 255], [0, 255, 255], [0, 0, 0]]), 16, axis=0)
    file = encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, subsampling=0)  # Pillow writes the Adobe form.
    assert b"Adobe" in file
    assert np.abs(read_image(file)[8].astype(int) - wanted).max() <= 2
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(inks, "CMYK"), "TIFF"))[8], wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind, orientation):
    # Flat quarters of 16 x 8 pixels survive JPEG well enough to be told apart.
    quarters = np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((16, 8), np.uint8))
    image, exif = Image.fromarray(np.dstack([quarters] * 3)), Image.Exif()
    exif[0x0112] = orientation
    wanted = np.array(image)
    upright = {
        1: wanted,
        2: wanted[:, ::-1],
        3: wanted[::-1, ::-1],
        4: wanted[::-1],
        5: wanted.transpose(1, 0, 2),
        6: np.rot90(wanted, -1),
        7: wanted[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(wanted, 1),
    }
    file = encoded(image, kind, exif=exif)
    read = read_image(file)
    np.testing.assert_allclose(read, upright[orientation], atol=6)
    np.testing.assert_array_equal(
        read, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
    )


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"])
def test_broken_exif_does_not_lose_the_picture(exif):
    file = encoded(Image.fromarray(RGB), exif=exif)
    np.testing.assert_array_equal(read_image(file), RGB)


def test_strips_join_without_a_seam():
    tall = np.random.default_rng(1).integers(0, 256, (700, 3, 3), np.uint8)
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(tall))), tall)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_truncated_files_are_refused(kind):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    file = encoded(Image.fromarray(noise), kind)
    assert read_image(file).shape == noise.shape
    for length in (len(file) // 2, len(file) * 9 // 10, 20):
        with pytest.raises(UserError, match="^cut: (broken or truncated|not an image)"):
            read_image(file[:length], name="cut")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"GIF89a" + bytes(50), "broken or truncated .the GIF's data end before"),
        (b"Dear reader,\nno picture.", "not an image but a text"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, content, reason):
    path = tmp_path / "letter.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="absent.png: cannot be opened .no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(UserError, match="cannot be opened"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "pixels", [RGB, GREY, GREY.astype(np.uint16) * 257, GREY > 99], ids=lambda array: str(array.dtype)
)
def test_png_holds_what_was_encoded(pixels):
    read = np.asarray(Image.open(io.BytesIO(encode_png(pixels))))
    if pixels.dtype == bool:
        assert read.dtype == np.uint8
        pixels = np.where(pixels, 255, 0)
    np.testing.assert_array_equal(read, pixels)


def test_resize_averages_and_keeps_orientation_of_size():
    checks = np.indices((40, 80)).sum(axis=0) % 2 * 255
    small = resize(np.dstack([checks.astype(np.uint8)] * 3), (10, 20))
    assert small.shape == (10, 20, 3)
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_the_residual_level_is_the_median_of_what_scipys_mean_filter_leaves() -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    residual = image - uniform_filter(image.astype(np.float64), (3, 3, 1), mode="nearest")
    assert residual_level(image) == pytest.approx(np.median(np.abs(residual).mean(axis=2)) / 255, rel=1e-6)


def test_the_residual_level_of_a_large_image_is_estimated_and_of_a_flat_one_is_not_zero() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1200, 900, 3), np.uint8)
    assert residual_level(image) == pytest.approx(residual_level(image[:500, :500]), rel=0.02)
    assert residual_level(np.full((80, 90, 3), 200, np.uint8)) == np.float32(0.001)


def test_the_residual_level_of_a_large_image_does_not_depend_on_the_phase_of_its_colour_filter_array() -> None:
    image = np.full((1100, 1300, 3), 128, np.uint8)
    image[::2, ::2] = np.random.default_rng(0).integers(100, 156, (550, 650, 3))
    levels = [residual_level(image[row:, column:]) for row in (0, 1) for column in (0, 1)]
    assert max(levels) < 1.02 * min(levels)


def test_a_map_is_resized_bilinearly_and_stays_one():
    map_ = np.array([[0, 1]], np.float32).repeat(2, axis=0)
    assert resize_map(map_, (2, 2)) is map_
    np.testing.assert_allclose(resize_map(map_, (2, 4)), [[0, 0.25, 0.75, 1]] * 2)
    np.testing.assert_allclose(resize_map(map_, (1, 1)), [[0.5]])
    assert resize_map(map_, (2, 4)).dtype == np.float32


def test_out_of_memory_is_not_taken_for_a_broken_file(tmp_path: Path) -> None:
    """In a process of its own, with little room left."""
    Image.new("RGB", (4000, 3900)).save(tmp_path / "a.bmp")
    program = f"""
import resource
from splice_jax.errors import UserError
from splice_jax.images import read_image
size = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (size + 20_000_000,) * 2)
try:
    read_image({str(tmp_path / "a.bmp")!r}, name="a.bmp")
except UserError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == "a.bmp: out of memory when it was read; scale it down\n", said.stderr
