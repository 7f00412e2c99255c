"""The bank as a whole: what it measures, that padding is not measured, and that each trace responds to its cause."""

import io
from collections.abc import Callable

import jax
import numpy as np
import pytest
from PIL import Image
from scipy import fft, ndimage

from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.metrics import auc
from splice_jax.models.traces import bank
from splice_jax.models.traces.reading import read

ROWS, COLUMNS = 24, 32
PATCH = np.zeros((ROWS, COLUMNS), bool)
PATCH[7:17, 9:21] = True
PATCH_PIXELS = PATCH.repeat(8, 0).repeat(8, 1)[..., None]
ENDS = np.cumsum([family.number for family in bank.TRACES])
PLACES = {family.name: slice(end - family.number, end) for family, end in zip(bank.TRACES, ENDS, strict=True)}


def picture(seed: int) -> np.ndarray:
    """A texture that is the same everywhere, so that content tells nothing."""
    random = np.random.default_rng(seed)
    size = ROWS * 8, COLUMNS * 8
    texture = ndimage.gaussian_filter(random.normal(0, 1, size), 2)
    colour = ndimage.gaussian_filter(random.normal(0, 1, (*size, 3)), (8, 8, 0))
    smooth = 25 * texture / texture.std()
    return (128 + smooth[..., None] + 10 * colour / colour.std() + random.normal(0, 2, (*size, 3))).astype(np.uint8)


Measure = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def compiled() -> Callable:
    """One program for all pictures of this file."""
    return jax.jit(bank.measure)


@pytest.fixture(scope="module")
def measure(compiled: Callable) -> Measure:
    def measure(image: np.ndarray, encoded: bytes = b"") -> np.ndarray:
        reading = read(image, encoded)
        return np.asarray(compiled(reading.image, reading.planes, reading.tables, np.array(reading.blocks)))

    return measure


@pytest.fixture(scope="module")
def traces(measure: Measure) -> np.ndarray:
    return measure(picture(0))


def test_every_trace_is_described_once() -> None:
    assert len({family.name for family in bank.TRACES}) == len(bank.TRACES)
    assert bank.COUNT == len(bank.CENTRE) == len(bank.SPREAD) == ENDS[-1]
    assert (bank.SPREAD > 0).all() and all(family.meaning for family in bank.TRACES)
    np.testing.assert_allclose(bank.CENTRE[PLACES["energy"]][[0, 5, 15]], [2.9, 2.9 - 3.8 / 3, -0.9], rtol=1e-6)


def test_families_stand_where_the_table_says(traces: np.ndarray) -> None:
    image = picture(0).astype(float)
    luma = image @ [0.299, 0.587, 0.114]

    def means(plane: np.ndarray) -> np.ndarray:
        return plane.reshape(ROWS, 8, COLUMNS, 8).mean((1, 3))

    assert traces.shape == (ROWS, COLUMNS, bank.COUNT) and np.isfinite(traces).all()
    for channel in range(3):
        residual = image[..., channel] - ndimage.uniform_filter(image[..., channel], 3, mode="nearest")
        expected = np.log(means(np.abs(residual)) + 0.01)
        np.testing.assert_allclose(traces[..., PLACES["residual"]][..., channel], expected, atol=1e-3)
    median = np.log(means(np.abs(luma - ndimage.median_filter(luma, 3, mode="nearest"))) + 0.01)
    np.testing.assert_allclose(traces[..., PLACES["median"]][..., 0], median, atol=1e-3)
    half = image[..., 1].reshape(96, 2, 128, 2).mean((1, 3))
    coarse = np.abs(half - ndimage.uniform_filter(half, 3, mode="nearest")).reshape(ROWS, 4, COLUMNS, 4).mean((1, 3))
    np.testing.assert_allclose(traces[..., PLACES["coarse"]][..., 0], np.log(coarse + 0.01), atol=1e-3)
    np.testing.assert_allclose(traces[..., PLACES["steps"]], np.log(3), rtol=1e-6)
    cut = (luma - 128).reshape(ROWS, 8, COLUMNS, 8).swapaxes(1, 2)
    zigzag = fft.dctn(cut, axes=(2, 3), norm="ortho")[..., [0, 1, 2, 1, 0, 4], [1, 0, 0, 1, 3, 0]]
    ones = ndimage.uniform_filter(np.ones((ROWS, COLUMNS, 1)), (3, 3, 1), mode="constant")
    wholeness = ndimage.uniform_filter(np.abs(np.cos(np.pi * zigzag)), (3, 3, 1), mode="constant") / ones
    np.testing.assert_allclose(traces[..., PLACES["wholeness"]], wholeness, atol=1e-3)
    for name, row in (
        ("blue_chroma", [-0.168735892, -0.331264108, 0.5]),
        ("red_chroma", [0.5, -0.418687589, -0.081312411]),
    ):
        cut = (image @ row).reshape(ROWS, 8, COLUMNS, 8).swapaxes(1, 2)
        zigzag = np.abs(fft.dctn(cut, axes=(2, 3), norm="ortho"))
        first = zigzag.sum((2, 3)) - zigzag[..., 0, 0]  # all AC magnitudes: 3 groups of 16 and one of 15
        around = ndimage.uniform_filter(first, 3, mode="constant") / ndimage.uniform_filter(
            np.ones_like(first), 3, mode="constant"
        )
        groups = np.exp(traces[..., PLACES[name]]) - 0.01
        np.testing.assert_allclose(groups @ [16, 16, 16, 15], around, rtol=1e-3)


def test_content_by_hand(measure: Measure) -> None:
    image = np.full((ROWS * 8, COLUMNS * 8, 3), 100, np.uint8)
    image[:8, :8] = 255
    image[8:16, :4] = 0
    image[16:24, :8] = (100, 164, 100)
    content = measure(image)[..., PLACES["content"]]
    np.testing.assert_allclose(content[5, 5], [100 / 128 - 1, -1, (np.log(0.01) - 2) / 2, 0], atol=1e-4)
    np.testing.assert_allclose(content[0, 0], [255 / 128 - 1, -1, (np.log(0.01) - 2) / 2, 1], atol=1e-4)
    np.testing.assert_allclose(content[1, 0], [50 / 128 - 1, -1, (np.log(50.01) - 2) / 2, 0.5], atol=1e-3)
    np.testing.assert_allclose(content[2, 0, :2], [(100 + 64 * 0.587) / 128 - 1, 0], atol=1e-4)


def test_a_constant_picture_has_finite_traces(measure: Measure) -> None:
    for level in (0, 128, 255):
        assert np.isfinite(measure(np.full((ROWS * 8, COLUMNS * 8, 3), level, np.uint8))).all()


def test_padding_changes_no_trace_but_at_the_border(compiled: Callable) -> None:
    """Border pixels look one or two pixels further, and a mean over 5x5 blocks passes that on to two more blocks."""
    rows, columns = 15, 21
    image, planes = picture(1), read(picture(1)).planes
    tables, found = np.ones((2, 8, 8), np.float32), []
    for fill in (0, 255, "noise", "edge"):
        padded, filled = image.copy(), planes.copy()
        outside = np.ones(planes.shape[:2], bool)
        outside[: rows * 8, : columns * 8] = False
        if fill == "edge":
            padded = np.pad(image[: rows * 8, : columns * 8], ((0, 72), (0, 88), (0, 0)), mode="edge")
            filled = np.pad(planes[: rows * 8, : columns * 8], ((0, 72), (0, 88), (0, 0)), mode="edge")
        else:
            padded[outside] = np.random.default_rng(5).integers(0, 256, 3) if fill == "noise" else fill
            filled[outside] = 77 if fill == "noise" else fill
        found.append(np.asarray(compiled(padded, filled, tables, np.array([rows, columns]))))
    for other in found[1:]:
        assert not other[rows:].any() and not other[:, columns:].any()
        np.testing.assert_allclose(other[: rows - 3, : columns - 3], found[0][: rows - 3, : columns - 3], atol=1e-5)
    apart = np.abs(found[1] - found[0])[:rows, :columns].max((0, 1))
    own_blocks_alone = (
        "energy",
        "wholeness",
        "recompression",
        "own_evidence",
        "unit_evidence",
        "single_evidence",
        "blue_evidence",
        "red_evidence",
        "total_evidence",
        "blue_chroma",
        "red_chroma",
        "content",
        "steps",
    )
    for name in own_blocks_alone:
        assert apart[PLACES[name]].max() < 1e-5, name


def test_a_picture_s_own_scale_is_the_lower_median(traces: np.ndarray) -> None:
    own_scale = jax.jit(bank.own_scale)
    for rows, columns in ((ROWS, COLUMNS), (5, 7), (4, 6), (1, 1)):
        padded = traces.copy()
        padded[rows:], padded[:, columns:] = 1e6, -1e6
        median, spread = own_scale(padded, np.array([rows, columns]))
        flat = traces[:rows, :columns].reshape(-1, bank.COUNT)
        expected = np.quantile(flat, 0.5, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(median, expected, atol=1e-5)
        deviation = np.quantile(np.abs(flat - expected), 0.5, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(spread, 1.4826 * deviation, atol=1e-4)


def test_of_a_large_picture_every_second_block_is_sampled() -> None:
    values = np.random.default_rng(0).normal(0, 1, (80, 90, 2)).astype(np.float32)
    median, _ = jax.jit(bank.own_scale)(values, np.array([75, 90]))
    sample = values[:75:2, ::2].reshape(-1, 2)
    np.testing.assert_allclose(median, np.quantile(sample, 0.5, axis=0, method="inverted_cdf"), atol=1e-5)


@pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_standardised_by_hand(transform: Callable) -> None:
    random = np.random.default_rng(0)
    values = (bank.CENTRE + bank.SPREAD * random.normal(0, 4, (3, bank.COUNT))).astype(np.float32)
    median, spread = values[0], random.uniform(0, 1, bank.COUNT).astype(np.float32)
    found = transform(bank.standardised)(values, median, spread)
    relative = (values - median) / (spread + 0.15 * bank.SPREAD)
    expected = np.concatenate([relative, (values - bank.CENTRE) / bank.SPREAD], -1).clip(-6, 6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(found).max() == 6 and not np.any(found[0, : bank.COUNT])


def responses(traces: np.ndarray) -> dict[str, float]:
    """Areas under the curve for the patch of what should respond there."""
    grid = traces[..., PLACES["grid"]]
    return {
        "noise": auc(traces[..., PLACES["median"]][..., 0], PATCH),
        "moved grid": auc(
            grid[..., [2, 3, 12, 13]].sum(-1) - grid[..., [7, 0, 15, 8]].sum(-1), PATCH
        ),  # a grid moved by 3 rows and 5 columns
        "double compression": auc(-traces[..., PLACES["own_evidence"]][..., :3].sum(-1), PATCH),
        "fine double compression": auc(-traces[..., PLACES["own_evidence"]][..., 3:].sum(-1), PATCH),
        "double compression of colours": auc(
            -(traces[..., PLACES["blue_evidence"]] + traces[..., PLACES["red_evidence"]]).sum(-1), PATCH
        ),
        "twofold compression": auc(-traces[..., PLACES["total_evidence"]][..., 2], PATCH),
        "subsampled colours": auc(
            -(traces[..., PLACES["blue_pairs"]] + traces[..., PLACES["red_pairs"]])[..., ::2].sum(-1), PATCH
        ),
    }


def decoded(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def moved_by_3_and_5(image: np.ndarray) -> np.ndarray:
    back = decoded(encode_jpeg(np.roll(image, (-3, -5), (0, 1)), 70))
    return np.roll(back, (3, 5), (0, 1))


def noise(measure: Measure, spliced: bool) -> np.ndarray:
    image = picture(2)
    noisy = (image + np.random.default_rng(0).normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    return measure(np.where(PATCH_PIXELS & spliced, noisy, image))


def moved_grid(measure: Measure, spliced: bool) -> np.ndarray:
    image = picture(3)
    return measure(np.where(PATCH_PIXELS & spliced, moved_by_3_and_5(image), decoded(encode_jpeg(image, 70))))


def double_compression(measure: Measure, spliced: bool) -> np.ndarray:
    image = picture(4)
    file = encode_jpeg(np.where(PATCH_PIXELS & spliced, image, decoded(encode_jpeg(image, 60))), 90)
    return measure(decoded(file), file)


def fine_double_compression(measure: Measure, spliced: bool) -> np.ndarray:
    """At qualities where only high frequencies have steps that tell."""
    image = picture(5)
    grainy = (image + np.random.default_rng(1).normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8)
    file = encode_jpeg(np.where(PATCH_PIXELS & spliced, grainy, decoded(encode_jpeg(grainy, 85))), 94)
    return measure(decoded(file), file)


def double_compression_of_colours(measure: Measure, spliced: bool) -> np.ndarray:
    image = picture(6)
    colourful = image + np.random.default_rng(2).normal(0, 25, (ROWS * 2, COLUMNS * 2, 3)).repeat(4, 0).repeat(4, 1)
    colourful = colourful.clip(0, 255).astype(np.uint8)
    file = encode_jpeg(np.where(PATCH_PIXELS & spliced, colourful, decoded(encode_jpeg(colourful, 70, 0))), 92, 0)
    return measure(decoded(file), file)


def twofold_compression(measure: Measure, spliced: bool) -> np.ndarray:
    """Of luma and of colours at half the resolution."""
    image = picture(8)
    file = encode_jpeg(np.where(PATCH_PIXELS & spliced, image, decoded(encode_jpeg(image, 75))), 92)
    return measure(decoded(file), file)


def subsampled_colours(measure: Measure, spliced: bool) -> np.ndarray:
    image = (picture(7) + np.random.default_rng(3).normal(0, 12, (ROWS * 8, COLUMNS * 8, 3))).clip(0, 255)
    full, half = (decoded(encode_jpeg(image.astype(np.uint8), 95, subsampling)) for subsampling in (0, 2))
    return measure(np.where(PATCH_PIXELS & spliced, half, full))


@pytest.mark.parametrize(
    "cause",
    [
        noise,
        moved_grid,
        double_compression,
        fine_double_compression,
        double_compression_of_colours,
        twofold_compression,
        subsampled_colours,
    ],
)
def test_a_trace_responds_where_its_cause_is_and_nowhere_in_an_authentic_picture(
    measure: Measure, cause: Callable
) -> None:
    name = cause.__name__.replace("_", " ")
    assert responses(cause(measure, True))[name] > 0.9
    assert abs(responses(cause(measure, False))[name] - 0.5) < 0.15
