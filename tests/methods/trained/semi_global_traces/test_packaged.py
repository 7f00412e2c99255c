"""The model that comes with the package: found by every way in, calibrated, and safe to read."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax.data.composing.scenes import draw_scene
from splice_jax.images import as_stored, upright
from splice_jax.methods.localizer import Undefined
from splice_jax.methods.registry import method
from splice_jax.methods.trained.semi_global_traces.localizer import padded_size
from splice_jax.weights.packaged import CHECKSUM, FILE, load_packaged


@pytest.fixture(scope="module")
def localizer():
    return splice_jax.load()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return draw_scene(200, 264, np.random.default_rng(5))[0]


@pytest.fixture(scope="module")
def found(localizer, photo):
    return localizer(photo)


def test_its_file_is_small_whole_and_holds_no_pickle():
    content = FILE.read_bytes()
    assert len(content) <= 6_000_000
    assert hashlib.sha256(content).hexdigest() == CHECKSUM.read_text().split()[0]
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        for name in members.namelist():
            with members.open(name) as member:
                version = np.lib.format.read_magic(member)
                read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                assert not read[version](member)[2].hasobject


def test_every_way_in_gives_the_same(localizer, found, photo):
    other = splice_jax.localizer("sgt")(photo)
    np.testing.assert_array_equal(other.probability, found.probability)
    assert (other.score, other.alarm) == (found.score, found.alarm)
    assert localizer.version == load_packaged().about["version"] == str(method("sgt").version)  # maps are kept by it


def test_what_is_found_is_calibrated(localizer, found, photo):
    assert found.probability.shape == found.mask.shape == found.valid.shape == photo.shape[:2]
    assert found.probability.dtype == np.float32 and 0 <= found.probability.min() <= found.probability.max() <= 1
    np.testing.assert_array_equal(found.mask, found.probability >= 0.5)
    assert 0 <= found.score <= 1 and 0 <= found.alarm <= 1
    calibration = localizer.calibration
    logits = calibration.authentic[[0, len(calibration.authentic) // 2, -1]].astype(float)
    assert [calibration.alarm(each) for each in logits][0] == 1
    assert sorted(map(calibration.score, logits)) == list(map(calibration.score, logits))


def test_alarm_counts_the_photographs_that_score_as_high(localizer):
    authentic = localizer.calibration.authentic
    for logit in (-100.0, float(np.median(authentic)), 100.0):
        assert localizer.calibration.alarm(logit) == pytest.approx(np.mean(authentic >= logit), abs=1e-12)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_photograph_gets_the_turned_map(localizer, photo, orientation, tmp_path: Path):
    stored = Image.fromarray(photo)
    stored.save(tmp_path / "plain.jpg", quality=92, subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", quality=92, subsampling=0, exif=exif)
    plain, turned = (localizer.localize_file(tmp_path / f"{name}.jpg") for name in ("plain", "turned"))
    np.testing.assert_allclose(turned.probability, upright(plain.probability, orientation), atol=1e-6)
    np.testing.assert_array_equal(turned.valid, upright(plain.valid, orientation))
    np.testing.assert_array_equal(as_stored(turned.probability, orientation).shape, plain.probability.shape)


def test_flat_and_saturated_areas_are_not_valid_and_change_nothing_elsewhere(localizer, photo):
    flat = photo.copy()
    flat[64:128, 64:128] = 90
    flat[128:192, 64:128] = 255
    found = localizer(flat)
    assert not found.valid[64:192, 64:128].any()
    assert found.valid[:48].mean() > 0.5


def test_too_small_an_image_is_undefined_with_its_size(localizer):
    with pytest.raises(Undefined, match="63x200"):
        localizer(np.zeros((200, 63, 3), np.uint8))


def test_few_programs_serve_all_sizes():
    sizes = {padded_size(rows, columns) for rows in range(8, 145, 3) for columns in range(8, 145, 5)}
    assert len(sizes) == 4
    assert padded_size(145, 20) == (288, 144)


def test_a_damaged_file_is_refused(monkeypatch, tmp_path: Path):
    from splice_jax.errors import UserError
    from splice_jax.weights import packaged

    copy = tmp_path / FILE.name
    content = bytearray(FILE.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    monkeypatch.setattr(packaged, "FILE", copy)
    with pytest.raises(UserError, match="checksum"):
        packaged.load_packaged()
