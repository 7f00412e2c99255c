import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from scipy import special

import splice_jax
from splice_jax.images import read_image, upright
from splice_jax.methods import Undefined
from splice_jax.methods.registry import family
from splice_jax.methods.traces.trace import spread
from splice_jax.methods.trained.semi_global_traces.localizer import SemiGlobalTracesLocalizer, padded_size
from splice_jax.models.semi_global_traces import SemiGlobalTraces
from splice_jax.models.traces.reading import read
from splice_jax.weights import packaged
from splice_jax.weights.calibration import Calibration
from splice_jax.weights.packaged import Packaged, save_packaged

NETWORK: dict[str, Any] = {"width": 8, "depth": 16, "layers": 1, "heads": 4}
CALIBRATION = Calibration(0.75, 0.5, 2.0, -0.25, np.linspace(-3, 3, 60, dtype=np.float32))


def picture(height: int = 86, width: int = 107, seed: int = 0) -> np.ndarray:
    """Noise, stronger in a rectangle."""
    random = np.random.default_rng(seed)
    strength = np.full((height, width, 1), 6)
    strength[24:64, 32:80] = 25
    return random.normal(120, strength, (height, width, 3)).clip(0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, orientation: int = 1) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=85, exif=exif)
    return file.getvalue()


@pytest.fixture(scope="module")
def localizer(run: Any) -> SemiGlobalTracesLocalizer:
    """Of a run, without calibration."""
    return SemiGlobalTracesLocalizer("sgt", SemiGlobalTraces(**NETWORK), run.state.variables)


@pytest.fixture(scope="module")
def calibrated(run: Any) -> SemiGlobalTracesLocalizer:
    return SemiGlobalTracesLocalizer(
        "sgt", SemiGlobalTraces(**NETWORK), run.state.variables, calibration=CALIBRATION, version="7"
    )


def test_a_map_is_the_network_s_logits_at_the_image_s_size(localizer: SemiGlobalTracesLocalizer) -> None:
    found = localizer(picture())
    logits, _, valid = localizer.judge(read(picture()))
    assert logits.shape == (20, 26) and valid.shape == (10, 13)
    np.testing.assert_allclose(found.probability, spread(special.expit(logits), (86, 107), 4), atol=1e-5)
    assert found.probability.shape == (86, 107) and found.probability.dtype == np.float32
    np.testing.assert_array_equal(found.mask, found.probability >= 0.5)
    assert found.score is None and found.alarm is None and found.label_probability is None
    assert found.valid.all()


def test_a_map_lies_where_the_blocks_do_that_the_pixels_show(localizer: SemiGlobalTracesLocalizer) -> None:
    """A JPEG whose upper rows and left columns were cut off, as pixels."""
    pixels = read_image(jpeg(picture(203, 250)))
    whole, part = read(pixels), pixels[3:, 6:]
    reading = read(part)
    assert (whole.origin, reading.origin) == ((0, 0), (5, 2))
    logits, _, _ = localizer.judge(reading)
    found = localizer(part)
    assert found.probability.shape == found.valid.shape == (200, 244)
    np.testing.assert_array_equal(found.probability[:, :4], found.probability[:, 3:4].repeat(4, 1))
    wanted = spread(special.expit(logits), (192, 240), 4)
    np.testing.assert_allclose(found.probability[5:197, 2:242], wanted, atol=1e-5)


def test_padding_s_content_changes_nothing(localizer: SemiGlobalTracesLocalizer) -> None:
    """A picture of whole blocks is judged as one of which a remainder is cut off."""
    whole = picture()[:80, :104]
    np.testing.assert_array_equal(localizer.judge(read(whole))[0], localizer.judge(read(picture()))[0])


def test_calibration_moves_all_logits_and_gives_score_and_alarm(
    localizer: SemiGlobalTracesLocalizer, calibrated: SemiGlobalTracesLocalizer
) -> None:
    logits, image, _ = localizer.judge(read(picture()))
    found = calibrated(picture())
    moved = special.expit(CALIBRATION.of_map(logits, image))
    np.testing.assert_allclose(found.probability, spread(moved, (86, 107), 4), atol=1e-5)
    assert found.score == pytest.approx(special.expit(2 * image - 0.25))
    assert found.alarm == pytest.approx(np.mean(CALIBRATION.authentic >= image))
    assert calibrated.version == "7"


def test_an_image_too_small_is_undefined_in_one_line(localizer: SemiGlobalTracesLocalizer) -> None:
    with pytest.raises(Undefined) as caught:
        localizer(picture(63, 200))
    assert str(caught.value) == "row sgt needs an image of at least 64x64 pixels; this one has 200x63"
    assert localizer(picture(64, 64)).probability.shape == (64, 64)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_file_has_the_turned_map(localizer: SemiGlobalTracesLocalizer, orientation: int) -> None:
    straight, turned = (jpeg(picture(), each) for each in (1, orientation))
    expected = localizer.localize_encoded(read_image(straight), straight)
    found = localizer.localize_encoded(read_image(turned), turned)
    for name in ("probability", "mask", "valid"):
        np.testing.assert_array_equal(getattr(found, name), upright(getattr(expected, name), orientation))


def test_a_jpeg_tells_more_than_its_pixels_and_a_png_the_same(localizer: SemiGlobalTracesLocalizer) -> None:
    file = jpeg(picture())
    image = read_image(file)
    assert (localizer.localize_encoded(image, file).probability != localizer(image).probability).any()
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG")
    found = localizer.localize_encoded(image, png.getvalue())
    np.testing.assert_array_equal(found.probability, localizer(image).probability)


def test_flat_and_saturated_blocks_say_nothing(localizer: SemiGlobalTracesLocalizer) -> None:
    image = picture(96, 112)
    image[:16, :24], image[40:48, 40:48] = 100, 255
    image[40:48, 40:44] = 250
    image[80:88, 0:8, 0] = 255
    valid = localizer(image).valid
    silent = np.zeros((96, 112), bool)
    silent[:16, :24], silent[40:48, 40:48], silent[80:88, :8] = True, True, True
    np.testing.assert_array_equal(valid, ~silent)


def test_a_crf_sees_the_image_and_the_map(run: Any) -> None:
    seen = []

    def refine(image: np.ndarray, probability: np.ndarray) -> np.ndarray:
        seen.append((image, probability))
        return np.where(probability > 0.2, 0.9, 0.1).astype(np.float32)

    with_crf = SemiGlobalTracesLocalizer("sgt", SemiGlobalTraces(**NETWORK), run.state.variables, refine=refine)
    found = with_crf(picture())
    ((image, probability),) = seen
    np.testing.assert_array_equal(image, picture())
    np.testing.assert_array_equal(found.mask, probability > 0.2)
    assert set(np.unique(found.probability)) <= {np.float32(0.1), np.float32(0.9)}


def test_sides_are_padded_to_few() -> None:
    assert padded_size(8, 8) == padded_size(48, 1) == (48, 48) and padded_size(49, 3) == (72, 96)
    assert padded_size(72, 96) == (72, 96) and padded_size(73, 1) == (96, 96)
    assert padded_size(144, 144) == (144, 144) and padded_size(145, 20) == (288, 144)
    for rows in range(1, 288, 7):
        assert all(side >= rows and side % 24 == 0 for side in padded_size(rows, rows))


def test_a_large_picture_is_padded_by_less_than_72_blocks_a_side() -> None:
    assert padded_size(378, 504) == (432, 504) and padded_size(289, 1) == (360, 72)
    for rows in range(289, 1000, 11):
        padded, _ = padded_size(rows, 300)
        assert rows <= padded < rows + 72


@pytest.fixture
def model(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The run's network in the place of the packaged one."""
    monkeypatch.setattr(packaged, "FILE", tmp_path / "sgt.npz")
    monkeypatch.setattr(packaged, "CHECKSUM", tmp_path / "sgt.sha256")
    about = {"version": "3", "network": NETWORK}
    save_packaged(Packaged(run.state.variables, CALIBRATION, about), tmp_path / "sgt.npz")
    return run.state.variables


def test_the_packaged_model_is_loaded_by_name_and_without_one(
    model: Any, calibrated: SemiGlobalTracesLocalizer
) -> None:
    for found in (splice_jax.localizer("sgt"), splice_jax.load()):
        assert isinstance(found, SemiGlobalTracesLocalizer) and found.name == "sgt" and found.version == "3"
        one, other = found(picture()), calibrated(picture())
        np.testing.assert_array_equal(one.probability, other.probability)
        assert (one.score, one.alarm) == (other.score, other.alarm)


def test_a_run_may_start_from_the_packaged_model(model: Any, small: Callable[..., ConfigDict]) -> None:
    rows = family("sgt")
    drawn = rows.variable_shapes(rows.network(small()))
    assert rows.with_weights(drawn, small()) is drawn
    jax.tree.map(np.testing.assert_array_equal, rows.with_weights(drawn, small(init="packaged")), model)
