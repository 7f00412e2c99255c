"""What counts as white in a mask, and what is no mask: each case an array and what it must mean."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from splice_jax.errors import UserError
from splice_jax.images import encode_png, mask_of, read_mask
from tests.images.making import encoded, png, tiff

REGION = np.zeros((40, 50), bool)
REGION[10:30, 15:45] = True


def grey(black: int, white: int, dtype: str = "u1") -> np.ndarray:
    return np.where(REGION, white, black).astype(dtype)


def palette(colours: list[int]) -> bytes:
    image = Image.fromarray(REGION.astype(np.uint8), "P")
    image.putpalette(colours)
    return encoded(image)


def rgba(colour: np.ndarray, alpha: np.ndarray) -> bytes:
    return encoded(Image.fromarray(np.dstack([colour, colour, colour, alpha])))


def png16(channels: int, white: int) -> bytes:
    values = np.repeat(grey(0, white, ">u2")[:, :, None], channels, axis=2)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(50, 40, 16, colour, b"".join(b"\0" + row.tobytes() for row in values))


FULL = np.full((40, 50), 255, np.uint8)
MEANT = {
    "0 and 255": encode_png(grey(0, 255)),
    "0 and 1": encode_png(grey(0, 1)),
    "1 bit": encoded(Image.fromarray(REGION)),
    "16 bits, 0 and 65535": encode_png(grey(0, 65535, "u2")),
    "16 bits, 0 and 255": encode_png(grey(0, 255, "u2")),
    "16 bits, 0 and 1": encode_png(grey(0, 1, "u2")),
    "16 bits in colour": png16(3, 65535),
    "16-bit TIFF, 0 and 255": tiff(grey(0, 255, "<u2")[:, :, None], 16, 1),
    "16-bit TIFF in colour, 0 and 255": tiff(np.dstack([grey(0, 255, "<u2")] * 3), 16, 2),
    "TIFF with white as 0": tiff(grey(255, 0)[:, :, None], 8, 0),
    "RGB": encoded(Image.fromarray(np.dstack([grey(0, 255)] * 3))),
    "opaque RGBA": rgba(grey(0, 255), FULL),
    "black and white palette": palette([0, 0, 0, 255, 255, 255]),
    "GIF": encoded(Image.fromarray(grey(0, 255)), "GIF"),
    "BMP": encoded(Image.fromarray(grey(0, 255)), "BMP"),
    "lossless WebP": encoded(Image.fromarray(grey(0, 255)), "WEBP"),
    "JPEG": encoded(Image.fromarray(grey(0, 255)), "JPEG", quality=40),
    "JPEG of white as 230": encoded(Image.fromarray(grey(0, 230)), "JPEG", quality=90),
    "JPEG in colour": encoded(Image.fromarray(np.dstack([grey(0, 255)] * 3)), "JPEG"),
}


@pytest.mark.parametrize("kind", MEANT)
def test_a_mask_means_what_was_drawn(kind: str) -> None:
    np.testing.assert_array_equal(read_mask(MEANT[kind]), REGION)


NOT_MASKS = {
    "the region in alpha": (rgba(FULL, grey(0, 255)), "alpha varies, 0 to 255; save it without alpha"),
    "the region in alpha, of black": (rgba(FULL * 0, grey(0, 255)), "alpha varies, 0 to 255"),
    "transparent palette colour": (
        encoded(Image.fromarray(REGION.astype(np.uint8), "P"), transparency=0),
        "alpha varies, 0 to 255",
    ),
    "16-bit alpha": (png16(4, 65535), "alpha varies"),
    "0 and 100": (encode_png(grey(0, 100)), "the values 0, 100, where white would be 255"),
    "0 and 2": (encode_png(grey(0, 2)), "the values 0, 2, where white would be 255"),
    "0 and 254": (encode_png(grey(0, 254)), "the values 0, 254"),
    "16 bits, 0 and 2": (encode_png(grey(0, 2, "u2")), "the values 0, 2, where white would be 65535"),
    "16 bits, 0 and 256": (encode_png(grey(0, 256, "u2")), "the values 0, 256"),
    "region numbers": (encode_png(np.arange(2000, dtype=np.uint16).reshape(40, 50)), "0, 1, 2, 3, 4, 5, ... 1999"),
    "16 bits in colour, 0 and 255": (png16(3, 255), "16 bits in colour with values below 512"),
    "16 bits in colour, 0 and 300": (png16(3, 300), "16 bits in colour with values below 512"),
    "dark JPEG": (encoded(Image.fromarray(grey(0, 150)), "JPEG"), "where white would be 255"),
    "JPEG of 0 and 1": (encoded(Image.fromarray(grey(0, 1)), "JPEG", quality=100), "the values 0, 1"),
    "red on black": (palette([0, 0, 0, 255, 0, 0]), "in colours"),
    "white on blue": (palette([0, 0, 255, 255, 255, 255]), "in colours"),
    "dark red, as VOC": (palette([0, 0, 0, 128, 0, 0]), "the values 0, 128"),
}


@pytest.mark.parametrize("kind", NOT_MASKS)
def test_what_would_need_guessing_is_refused_with_the_values(kind: str) -> None:
    file, reason = NOT_MASKS[kind]
    with pytest.raises(UserError, match=f"^m.png: a mask .*{reason}"):
        read_mask(file, name="m.png")


def test_a_small_coloured_region_is_refused_too() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[3:6, 3:6, 0] = 255
    with pytest.raises(UserError, match="a mask in colours"):
        read_mask(encoded(Image.fromarray(pixels)))


@pytest.mark.parametrize("file", [encode_png(np.zeros((4, 5), np.uint8)), encoded(Image.new("RGB", (5, 4)), "JPEG")])
def test_all_black_is_authentic(file: bytes) -> None:
    assert not read_mask(file).any()


@pytest.mark.parametrize(("share", "warned"), [(0.005, False), (0.02, True)])
def test_many_values_between_black_and_white_are_told(share: float, warned: bool) -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels.flat[: round(share * 10_000)] = 130
    pixels[50:] = 255
    mask = mask_of(encode_png(pixels))
    np.testing.assert_array_equal(mask.spliced, pixels > 127)
    assert mask.notes == (("2.0% of the mask's values are neither black nor white",) if warned else ())


def test_noise_of_lossy_compression_is_not_between() -> None:
    pixels = np.where(REGION, 245, 9).astype(np.uint8)
    assert mask_of(encoded(Image.fromarray(pixels), "JPEG", quality=95)).notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_by_its_own_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(Image.fromarray(grey(0, 255)), exif=exif)
    mask = mask_of(file)
    assert mask.orientation == orientation
    np.testing.assert_array_equal(mask.spliced, REGION)
    with Image.open(io.BytesIO(file)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image)) > 127
    np.testing.assert_array_equal(read_mask(file), upright)
