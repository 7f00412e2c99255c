"""`adq1` and `adq2`: periods and first steps by construction, maps of patches that were compressed once."""

import io

import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax import metrics
from splice_jax.data.composing.recipes import encode_jpeg
from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image
from splice_jax.jpeg import STANDARD_TABLE
from splice_jax.methods import Undefined
from splice_jax.methods.traces.double_jpeg import (
    ROUNDING,
    aperiodic_log_odds,
    find_period,
    fit_first_step,
    once_log_ratio,
    requantized,
)
from splice_jax.models.traces.decoded import decoded_luma
from tests.methods.traces.judged import or_half

GENERATOR = np.random.default_rng(0)
LAPLACIAN = GENERATOR.laplace(0, 30, 6000)


def rounded(values: np.ndarray, *steps: int) -> np.ndarray:
    """Quantised by each step in turn, with the scatter of rounding pixels between; in units of the last."""
    for step in steps[:-1]:
        values = np.rint(values / step) * step + GENERATOR.normal(0, ROUNDING, values.shape)
    return np.rint(values / steps[-1]).astype(int)


def localized(name: str, file: bytes) -> np.ndarray:
    return splice_jax.localizer(name).localize_encoded(read_image(file), file).probability


@pytest.mark.parametrize(("first", "second"), [(12, 1), (7, 1), (9, 2), (13, 3), (5, 2)])
def test_the_period_is_the_ratio_of_the_steps(first, second):
    assert find_period(rounded(LAPLACIAN, first, second), 40 / second) == pytest.approx(first / second, rel=0.05)


@pytest.mark.parametrize("steps", [(1,), (3,), (3, 9), (4, 8)])
def test_without_a_coarser_first_step_there_is_no_period(steps):
    assert find_period(rounded(LAPLACIAN, *steps), 40 / steps[-1]) == 1.0


@pytest.mark.parametrize("values", [np.zeros(50, int), np.full(50, -3), np.arange(3)], ids=["zero", "alike", "few"])
def test_few_different_values_have_no_period(values):
    assert find_period(values, 40.0) == 1.0


def test_odds_by_hand_of_a_histogram_with_every_third_value():
    values = np.repeat(np.arange(-60, 61), np.where(np.arange(-60, 61) % 3 == 0, 29, 2))[None]
    odds = aperiodic_log_odds(values, 10.0)
    for value, count in ((30, 29), (31, 2)):
        assert odds[values == value][0] == pytest.approx(np.log(12 / (count + 1)), abs=0.02)


def test_ratios_are_those_of_quantising_a_flat_density_twice():
    values = GENERATOR.uniform(-400, 400, 2_000_000)
    for first, second in ((13, 3), (5, 3), (6, 6), (4, 8), (9, 4)):
        counts = [
            np.bincount(rounded(values, *steps)[abs(values) < 390] + 200, minlength=401)[180:221]
            for steps in ((first, second), (second,))
        ]
        ratio = requantized(np.array([first]), second, 20)[0]
        np.testing.assert_allclose(counts[0] / counts[1], ratio, atol=0.1)


@pytest.mark.parametrize(("first", "second", "share"), [(13, 3, 0.8), (9, 2, 1.0), (7, 3, 0.5), (6, 8, 0.9)])
def test_first_step_and_share_of_a_known_mixture(first, second, share):
    twice = round(share * LAPLACIAN.size)
    values = np.concatenate([rounded(LAPLACIAN[:twice], first, second), rounded(LAPLACIAN[twice:], second)])
    other = rounded(GENERATOR.laplace(0, 30, 6000), second)
    reach = 200
    counts, prior = (np.bincount(each.clip(-reach, reach) + reach, minlength=2 * reach + 1) for each in (values, other))
    best, found = fit_first_step(counts, prior.astype(float), requantized(np.arange(1, 21), second, reach))
    assert (best + 1, found) == (first, pytest.approx(share, abs=0.15))


def test_one_compression_leaves_every_value_without_evidence():
    values, other = rounded(LAPLACIAN, 3), rounded(GENERATOR.laplace(0, 30, 6000), 3)
    assert not once_log_ratio(values[None], other[None], 3, 30).any()


@pytest.mark.parametrize("name", ["adq1", "adq2"])
@pytest.mark.parametrize(("first", "last"), [(60, 90), (75, 90), (85, 95)])
def test_a_patch_compressed_once_in_a_host_compressed_twice_is_found(trial, compressed, name, first, last):
    for seed in range(2):
        case = trial(seed)
        file = encode_jpeg(case.spliced(host=compressed(case.host, first)), last)
        assert case.area(localized(name, file)) > 0.9


@pytest.mark.parametrize("name", ["adq1", "adq2"])
def test_where_all_is_compressed_once_nothing_is_found(trial, name):
    cases = [trial(seed) for seed in range(4)]
    areas = [or_half(lambda case=case: case.area(localized(name, encode_jpeg(case.spliced(), 90)))) for case in cases]
    assert all(abs(area - 0.5) < 0.1 for area in areas), areas


def test_a_host_compressed_once_and_kept_without_loss_is_seen_in_its_pixels(trial, compressed):
    case = trial(0)
    image = case.spliced(host=compressed(case.host, 70))
    found = splice_jax.localizer("adq1")(image)
    assert case.area(found.probability) > 0.9
    np.testing.assert_array_equal(localized("adq1", encode_png(image)), found.probability)
    assert abs(or_half(lambda: case.area(splice_jax.localizer("adq1")(case.spliced()).probability)) - 0.5) < 0.1
    cropped = splice_jax.localizer("adq1")(image[3:, 5:])
    assert decoded_luma(image[3:, 5:]) is None
    assert metrics.auc(cropped.probability, case.mask[3:, 5:]) > 0.9


@pytest.mark.parametrize("name", ["adq1", "adq2", "nadq"])
def test_the_map_of_a_turned_file_is_upright(trial, compressed, name):
    case = trial(1)
    donor = compressed(case.donor, 60, (3, 5)) if name == "nadq" else case.donor
    file = encode_jpeg(case.spliced(case.host if name == "nadq" else compressed(case.host, 60), donor), 95)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = exif.tobytes()
    turned = file[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + file[2:]
    wanted = localized(name, file)
    assert np.ptp(wanted) > 0.9
    np.testing.assert_array_equal(localized(name, turned), np.rot90(wanted, -1))


@pytest.mark.parametrize("name", ["adq2", "nadq"])
def test_pixels_alone_and_other_files_are_undefined(trial, name):
    image = trial(0).host
    with pytest.raises(Undefined, match=f"row {name} reads JPEG coefficients, and there are only pixels"):
        splice_jax.localizer(name)(image)
    with pytest.raises(Undefined, match="this image is no JPEG"):
        localized(name, encode_png(image))
    cmyk = io.BytesIO()
    Image.fromarray(image).convert("CMYK").save(cmyk, "JPEG")
    with pytest.raises(Undefined, match="stores CMYK"):
        localized(name, cmyk.getvalue())


def test_pixels_do_for_adq1_where_a_jpeg_has_no_luma(trial, compressed):
    stored = io.BytesIO()
    case = trial(0)
    spliced = Image.fromarray(case.spliced(host=compressed(case.host, 50)))
    spliced.save(stored, "JPEG", quality=100, keep_rgb=True)
    assert localized("adq1", stored.getvalue()).shape == case.mask.shape


@pytest.mark.parametrize("name", ["adq1", "adq2", "nadq"])
@pytest.mark.parametrize("seed", range(2))
def test_a_jpeg_s_pixels_show_what_its_file_does(trial, compressed, name, seed):
    """All of them, saved without loss, and what is left of them after cropping; chroma and clipping cost little."""
    case = trial(seed)
    donor = compressed(case.donor, 60, (3, 5)) if name == "nadq" else case.donor
    file = encode_jpeg(case.spliced(case.host if name == "nadq" else compressed(case.host, 60), donor), 90)
    image, wanted = read_image(file), localized(name, file)
    assert case.area(wanted) > 0.8
    found = splice_jax.localizer(name)(image)
    assert np.corrcoef(found.probability.ravel(), wanted.ravel())[0, 1] > 0.98
    np.testing.assert_array_equal(localized(name, encode_png(image)), found.probability)
    cropped = splice_jax.localizer(name)(image[3:, 5:])
    assert cropped.probability.shape == (image.shape[0] - 3, image.shape[1] - 5)
    assert metrics.auc(cropped.probability, case.mask[3:, 5:]) > case.area(wanted) - 0.03


def test_of_a_strip_cut_off_its_grid_too_little_is_left(compressed):
    strip = compressed(np.random.default_rng(0).normal(128, 25, (24, 2400, 3)).clip(0, 255).astype(np.uint8), 80)
    with pytest.raises(Undefined, match="row adq2 reads JPEG coefficients, and there are only pixels"):
        splice_jax.localizer("adq2")(strip[3:19, 5:])


@pytest.mark.parametrize("seed", range(2))
def test_a_part_that_hides_from_the_steps_is_found_in_pixels_as_they_are(trial, compressed, seed):
    """Blocks with clipped pixels are no evidence that something was pasted after the decoding."""
    case = trial(seed)
    image, mask = compressed(case.host, 75).copy(), np.zeros(case.mask.shape, bool)
    mask[64:160, 64:176] = True
    image[mask] = case.donor[mask]
    image[64:160:4, 64:176:4] = 0
    assert decoded_luma(image) is not None
    assert metrics.auc(splice_jax.localizer("adq1")(image).probability, mask) > 0.99


@pytest.mark.parametrize("name", ["adq1", "adq2", "nadq"])
def test_a_truncated_file_is_named_in_one_line(trial, name):
    file = encode_jpeg(trial(0).host, 90)
    with pytest.raises(UserError, match="^JPEG: broken or truncated .*get a whole copy of it$"):
        splice_jax.localizer(name).localize_encoded(trial(0).host, file[: len(file) // 2])


def test_a_table_of_large_steps_leaves_nothing_to_find():
    """At quality 1 first steps finer than the table's are not even looked for."""
    assert STANDARD_TABLE.max() < 255
    noise = GENERATOR.integers(0, 256, (64, 80, 3), np.uint8)
    for name in ("adq1", "adq2", "nadq"):
        with pytest.raises(Undefined, match=f"row {name} would give a flat map"):
            localized(name, encode_jpeg(noise, 1))
