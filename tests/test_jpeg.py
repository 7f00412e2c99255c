"""Luma coefficients: of files written here bit by bit, and of what Pillow writes."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from scipy import fft

from splice_jax.data.composing.camera import Camera, photograph
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.errors import UserError
from splice_jax.images import read_image, upright
from splice_jax.jpeg import STANDARD_TABLE, ZIGZAG, NoCoefficientsError, block_dct, read_luma, read_planes

GENERATOR = np.random.default_rng(0)
SCENE = photograph(draw_scene(99, 149, GENERATOR)[0], Camera(read_noise=0.002), GENERATOR)
SYMBOLS = [0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))]
"""Of AC coefficients, each with a code of 8 bits: its place in this list."""


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def grey_jpeg(coefficients: np.ndarray, table: np.ndarray) -> bytes:
    """A baseline JPEG of quantised coefficients [rows, columns, 8, 8] after ITU-T T.81, with codes of one length."""
    rows, columns = coefficients.shape[:2]
    order = tuple(np.array(ZIGZAG).T)
    bits, before = "", 0
    for block in coefficients.reshape(-1, 8, 8):
        values = block[order].tolist()
        difference, before = values[0] - before, values[0]
        bits += f"{abs(difference).bit_length():04b}" + magnitude(difference)
        bits += ac_bits(values[1:])
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    lengths = [0] * 16
    lengths[3] = 12
    dc = bytes([0x00, *lengths, *range(12)])
    lengths[3], lengths[7] = 0, len(SYMBOLS)
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xDB, bytes([0, *table[order].tolist()])),
            segment(0xC0, struct.pack(">BHHBBBB", 8, rows * 8, columns * 8, 1, 1, 0x11, 0)),
            segment(0xC4, dc),
            segment(0xC4, bytes([0x10, *lengths, *SYMBOLS])),
            segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            scan,
            b"\xff\xd9",
        ]
    )


def magnitude(value: int) -> str:
    """The bits that follow a size: of a negative value, those of the value one less."""
    size = abs(value).bit_length()
    return f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""


def ac_bits(values: list[int]) -> str:
    bits, run = "", 0
    for value in values:
        if value == 0:
            run += 1
            continue
        bits += f"{SYMBOLS.index(0xF0):08b}" * (run // 16)
        bits += f"{SYMBOLS.index((run % 16) << 4 | abs(value).bit_length()):08b}" + magnitude(value)
        run = 0
    return bits + (f"{SYMBOLS.index(0):08b}" if run else "")


def pillow_jpeg(image: Image.Image, quality: int = 80, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def table_of(quality: int) -> np.ndarray:
    """The standard table, scaled as libjpeg does above quality 50."""
    return np.maximum((STANDARD_TABLE.astype(int) * (200 - 2 * quality) + 50) // 100, 1)


def known(quality: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a scene whose brightness stays off black and white, and their table."""
    plane = (SCENE[:96, :144, 1] * 0.5 + 64).astype(np.float32)
    return np.rint(block_dct(plane) / table_of(quality)).astype(int), table_of(quality)


@pytest.mark.parametrize(("quality", "wrong"), [(50, 1e-3), (60, 1e-3), (75, 1e-3), (90, 2e-3), (95, 0.02)])
def test_coefficients_written_bit_by_bit_come_back(quality, wrong):
    coefficients, table = known(quality)
    luma = read_luma(grey_jpeg(coefficients, table))
    np.testing.assert_array_equal(luma.table, table)
    assert (luma.coefficients != coefficients).mean() < wrong


@pytest.mark.parametrize("quality", [50, 60, 75])
def test_where_there_is_texture_none_is_ambiguous(quality):
    table = table_of(quality)
    coefficients = np.rint(block_dct(GENERATOR.normal(128, 15, (96, 144))) / table).astype(int)
    luma = read_luma(grey_jpeg(coefficients, table))
    np.testing.assert_array_equal(luma.coefficients, coefficients)
    assert np.abs(block_dct(luma.plane) / table - coefficients).max() < 0.4


def test_the_plane_is_the_inverse_transform_of_the_coefficients():
    coefficients, table = known(75)
    blocks = fft.idctn(coefficients * table, axes=(2, 3), norm="ortho") + 128
    plane = blocks.swapaxes(1, 2).reshape(96, 144)
    assert np.abs(read_luma(grey_jpeg(coefficients, table)).plane - plane).max() < 1


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}])
def test_colours_and_progressive_storage_change_nothing(options):
    planes = Image.fromarray(SCENE).convert("YCbCr").split()
    grey, colour = pillow_jpeg(planes[0]), pillow_jpeg(Image.merge("YCbCr", planes), **options)
    for name in ("plane", "coefficients", "table"):
        np.testing.assert_array_equal(getattr(read_luma(colour), name), getattr(read_luma(grey), name))


def flat_chroma(side: int) -> tuple[Image.Image, np.ndarray]:
    """A picture of 45 x 70 pixels whose squares of `side` pixels have one blue and one red chroma each, and those."""
    levels = GENERATOR.integers(90, 166, (6, 9, 2)).astype(np.uint8)
    chroma = levels.repeat(side, 0).repeat(side, 1)[:45, :70]
    luma = GENERATOR.integers(100, 156, (45, 70, 1)).astype(np.uint8)
    return Image.fromarray(np.concatenate([luma, chroma], 2), "YCbCr"), levels


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("subsampling", "side"), [(0, 8), (2, 16)])
def test_the_chroma_block_that_covers_a_luma_block_stands_in_its_place(subsampling, side, progressive):
    """With steps of 1, a block of one level comes back as it was; in 4:2:0 it covers 2x2 blocks of luma."""
    picture, levels = flat_chroma(side)
    options = {"subsampling": subsampling, "progressive": progressive, "qtables": [[2] * 64, [1] * 64]}
    luma, chroma = read_planes(pillow_jpeg(picture, 50, **options))
    assert chroma is not None
    assert luma.table.tolist() == [[2] * 8] * 8 and chroma.table.tolist() == [[1] * 8] * 8
    assert chroma.planes.shape == (40, 64, 2)
    blocks = chroma.planes.reshape(5, 8, 8, 8, 2)
    of_luma_block = levels.repeat(side // 8, 0).repeat(side // 8, 1)[:5, :8]
    np.testing.assert_array_equal(blocks, np.broadcast_to(of_luma_block[:, None, :, None], blocks.shape))


@pytest.mark.parametrize("subsampling", [0, 2])
def test_chroma_s_coefficients_are_whole_multiples_of_its_steps(subsampling):
    chroma = read_planes(pillow_jpeg(Image.fromarray(SCENE), 75, subsampling=subsampling))[1]
    assert chroma is not None
    apart = block_dct(chroma.planes[:80, :128, 0]) / chroma.table
    assert np.abs(apart - np.rint(apart)).mean() < 0.03 and np.rint(apart)[..., 1:, 1:].any()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_files_of_other_subsampling_and_grey_ones_have_luma_alone(mode):
    file = pillow_jpeg(Image.fromarray(SCENE).convert(mode), **({"subsampling": 1} if mode == "RGB" else {}))
    luma, chroma = read_planes(file)
    assert chroma is None
    np.testing.assert_array_equal(luma.plane, read_luma(file).plane)


def test_chroma_with_two_tables_is_left_alone():
    tables = [[2] * 64, [3] * 64, [4] * 64]
    assert read_planes(pillow_jpeg(Image.fromarray(SCENE), 50, qtables=tables, subsampling=0))[1] is None
    assert read_planes(pillow_jpeg(Image.fromarray(SCENE), 50, qtables=tables[:2], subsampling=0))[1] is not None


def test_a_remainder_that_fills_no_block_is_left_out():
    luma = read_luma(pillow_jpeg(Image.fromarray(SCENE)))
    assert luma.plane.shape == (99, 149)
    assert luma.coefficients.shape == (12, 18, 8, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_luma_is_as_stored_and_turns_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_jpeg(Image.fromarray(SCENE).convert("L"), exif=exif)
    luma = read_luma(file)
    assert (luma.orientation, luma.plane.shape) == (orientation, (99, 149))
    np.testing.assert_array_equal(upright(luma.plane, luma.orientation), read_image(file)[:, :, 0])


def test_tables_are_by_frequency_not_in_zigzag_order():
    steps = STANDARD_TABLE.astype(int).tolist()
    luma = read_luma(pillow_jpeg(Image.fromarray(SCENE), quality=50))
    assert luma.table.tolist() == steps
    assert ZIGZAG[:6] == ((0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)) and ZIGZAG[-2:] == ((7, 6), (7, 7))


def test_block_dct_of_a_wave_is_one_coefficient():
    wave = np.cos((2 * np.arange(8) + 1) * 3 * np.pi / 16)
    plane = 128 + np.tile(wave[:, None] * np.ones(8), (3, 4))
    coefficients = block_dct(plane[2:], origin=(6, 0))
    wanted = np.zeros((2, 4, 8, 8))
    wanted[..., 3, 0] = np.sqrt(32)
    np.testing.assert_allclose(coefficients, wanted, atol=1e-4)
    assert block_dct(np.full((8, 8), 255))[0, 0, 0, 0] == pytest.approx(1016)


@pytest.mark.parametrize(
    ("image", "options", "reason"),
    [
        (Image.fromarray(SCENE).convert("CMYK"), {}, "stores CMYK"),
        (Image.fromarray(SCENE), {"keep_rgb": True}, "stores RGB"),
        (Image.fromarray(SCENE[:7]), {}, "smaller than a block"),
    ],
)
def test_files_without_luma_blocks_are_told_apart(image, options, reason):
    with pytest.raises(NoCoefficientsError, match=reason):
        read_luma(pillow_jpeg(image, **options))


def test_other_files_and_broken_ones_are_refused():
    png = io.BytesIO()
    Image.fromarray(SCENE).save(png, "PNG")
    with pytest.raises(NoCoefficientsError, match="no JPEG"):
        read_luma(png.getvalue())
    file = pillow_jpeg(Image.fromarray(SCENE))
    for length in (len(file) // 2, 20):
        with pytest.raises(UserError, match="broken or truncated"):
            read_luma(file[:length])
