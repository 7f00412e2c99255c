"""TIFFs of every layout, written by tifffile and imagecodecs, against the arrays they were made from."""

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import read_image, read_picture
from tests.images.making import tiff

HEIGHT, WIDTH = 37, 53
KINDS = {
    "grey": ("minisblack", 1, None),
    "white is 0": ("miniswhite", 1, None),
    "grey, alpha": ("minisblack", 2, "unassalpha"),
    "rgb": ("rgb", 3, None),
    "rgba": ("rgb", 4, "unassalpha"),
    "cmyk": ("separated", 4, None),
}
COMPRESSIONS = [(None, None), ("packbits", None)]
COMPRESSIONS += [(name, predictor) for name in ("lzw", "deflate", "zstd") for predictor in (None, 2)]


def written(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def seen(pixels: np.ndarray, kind: str) -> np.ndarray:
    """The RGB of all channels, by definition; CMYK by Pillow."""
    values = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    if kind == "cmyk":
        return np.asarray(Image.fromarray(values, "CMYK").convert("RGB"))
    if kind.startswith("rgb"):
        return values[:, :, :3]
    return np.repeat(~values[:, :, :1] if kind == "white is 0" else values[:, :, :1], 3, axis=2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_every_layout_is_read_as_it_was_written(kind: str, dtype: str, planar: str) -> None:
    photometric, channels, extra = KINDS[kind]
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH, channels), dtype, endpoint=True)
    data = pixels if planar == "contig" else np.moveaxis(pixels, 2, 0)
    options = {"photometric": photometric, "planarconfig": planar, "extrasamples": extra and [extra]}
    if channels == 1:
        data, options["planarconfig"] = pixels[:, :, 0], None
    for (compression, predictor), order, tile in itertools.product(COMPRESSIONS, "<>", (None, (16, 32))):
        file = written(
            data, byteorder=order, compression=compression, predictor=predictor, tile=tile,
            rowsperstrip=None if tile else 8, bigtiff=order == ">", **options,
        )  # fmt: skip
        read = read_image(file)
        np.testing.assert_array_equal(read, seen(pixels, kind), f"{compression} {predictor} {order} {tile}")


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_jpeg_in_a_tiff_is_as_imagecodecs_decodes_it(planar: str, tile: tuple[int, int] | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data = pixels if planar == "contig" else np.moveaxis(pixels, 2, 0)
    file = written(data, photometric="rgb", planarconfig=planar, compression="jpeg", tile=tile)
    wanted = tifffile.imread(io.BytesIO(file))
    wanted = wanted if planar == "contig" else np.moveaxis(wanted, 0, 2)
    np.testing.assert_allclose(read_image(file).astype(int), wanted, atol=1)


def test_a_16_bit_strip_larger_than_one_piece_joins_without_a_seam() -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (700, 5, 3), np.uint16)
    for compression in (None, "deflate"):
        file = written(pixels, photometric="rgb", compression=compression, rowsperstrip=700)
        np.testing.assert_array_equal(read_image(file), pixels >> 8)


def test_16_bit_colours_multiplied_by_their_alpha_are_divided_by_it() -> None:
    pixels = np.array([[[0x4000, 0x2000, 0, 0x8000], [9, 9, 9, 0]]], np.uint16)
    read = read_image(written(pixels, photometric="rgb", extrasamples=["assocalpha"]))
    assert read[0, 0].tolist() == [0x7F, 0x3F, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_the_orientation_turns_pixels_of_any_depth(orientation: int, dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, 5, 3), dtype)
    file = written(pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    plain = Image.fromarray(seen(pixels, "rgb"))
    turns = [None, 0, 3, 1, 5, 4, 6, 2]  # Pillow's numbers of the transpositions that undo orientations 2 to 8.
    turn = turns[orientation - 1]
    upright = plain if turn is None else plain.transpose(Image.Transpose(turn))
    picture = read_picture(file)
    np.testing.assert_array_equal(picture.pixels, np.asarray(upright))
    assert picture.orientation == orientation


@pytest.mark.parametrize("subifds", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_the_page_that_is_no_thumbnail_counts(subifds: bool, dtype: str) -> None:
    full = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 30, 3), dtype)
    small, file = full[::4, ::4], io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        if subifds:
            writer.write(full, photometric="rgb", metadata=None, subifds=1)
            writer.write(small, photometric="rgb", metadata=None, subfiletype=1)
        else:
            writer.write(small, photometric="rgb", metadata=None, subfiletype=1)
            writer.write(full, photometric="rgb", metadata=None)
    picture = read_picture(file.getvalue())
    np.testing.assert_array_equal(picture.pixels, seen(full, "rgb"))
    assert picture.notes == ()


def test_of_several_full_pages_the_first_is_read_with_a_note() -> None:
    pages = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    picture = read_picture(written(pages, photometric="rgb"))
    np.testing.assert_array_equal(picture.pixels, pages[0])
    assert picture.notes == ("has 3 pages; the first is read",)


def test_thumbnails_of_a_picture_in_a_sub_directory_are_refused() -> None:
    full, file = np.zeros((20, 30, 3), np.uint8), io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(full[::4, ::4], photometric="rgb", metadata=None, subfiletype=1, subifds=1)
        writer.write(full, photometric="rgb", metadata=None)
    with pytest.raises(UserError, match="x: its pages are thumbnails of a picture in a sub-directory"):
        read_image(file.getvalue(), name="x")


RGB = np.zeros((8, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (written(RGB.astype(np.float32), photometric="rgb"), "floating-point pixels have no agreed white"),
        (written(RGB.astype(np.float16), photometric="rgb"), "floating-point pixels have no agreed white"),
        (written(RGB.astype(np.int16), photometric="rgb"), "signed pixels have no agreed white"),
        (written(RGB.astype(np.uint32), photometric="rgb"), "32-bit pixels have no agreed white"),
        (written(np.zeros((8, 9, 5), np.uint8), photometric="rgb", planarconfig="contig"), "5 channels, RGB"),
        (written(np.zeros((7, 8, 9), np.uint8), photometric="minisblack", planarconfig="separate"), "7 channels, grey"),
        (written(RGB, photometric="cielab"), "L.a.b. colours, which are not read; save it as RGB"),
        (written(RGB[..., 0], photometric="cfa"), "a raw photograph, which is not read; develop it"),
        (written(RGB, photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]), "a raw photograph"),
        (tiff(RGB, 8, 2).replace(b"II*\0\x08\0\0\0", b"II*\0\xff\xff\0\0"), "directory is missing"),
        (tiff(RGB.astype(np.uint16), 16, 2)[:-1], "a strip or tile is cut"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(99), "a raw photograph"),
        (written(RGB, photometric="rgb", compression="jpeg2000"), "compression that is not read, JPEG 2000; save"),
        (written(RGB, photometric="rgb", compression="webp"), "a compression that is not read, WebP"),
        (tiff(RGB, 8, 2).replace(b"\3\1\3\0\1\0\0\0\1", b"\3\1\3\0\1\0\0\0\x63"), "not read, number 99"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_read_is_named(file: bytes, reason: str) -> None:
    with pytest.raises(UserError, match=f"^x.tif: .*{reason}"):
        read_image(file, name="x.tif")


def test_a_raw_photograph_is_recognised_by_its_sub_directory() -> None:
    """As in NEF: a preview first, the sensor's values in a sub-directory."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB, photometric="rgb", metadata=None, subfiletype=1, subifds=1)
        writer.write(RGB[..., 0], photometric="cfa", metadata=None)
    with pytest.raises(UserError, match="x.nef: a raw photograph"):
        read_image(file.getvalue(), name="x.nef")


def test_directories_that_go_round_in_a_circle_end() -> None:
    file = tiff(RGB, 8, 2)
    at = 8 + 2 + 9 * 12
    np.testing.assert_array_equal(read_image(file[:at] + struct.pack("<I", 8) + file[at + 4 :]), RGB)
