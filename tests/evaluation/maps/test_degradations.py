import io

import numpy as np
import pytest
from PIL import JpegImagePlugin

from splice_jax.errors import UserError
from splice_jax.evaluation.maps import degradations
from splice_jax.evaluation.maps.degradations import Degradation, parse
from splice_jax.images import read_image

IMAGE = np.random.default_rng(0).integers(60, 190, (40, 50, 3), dtype=np.uint8)


def degrade(image: np.ndarray, degradation: Degradation, seed: int = 0) -> np.ndarray:
    return degradations.degrade(image, degradation, seed=seed).image


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jpg:90", "'jpg' is none of jpeg, blur, noise, resize"),
        ("jpeg", "'jpeg' names no strength"),
        ("jpeg:", "'jpeg:' names no strength"),
        ("jpeg:90,", "jpeg: is not a whole number"),
        ("jpeg:90.5", "jpeg:90.5 is not a whole number"),
        ("jpeg:0", "jpeg:0 is not from 1 to 100"),
        ("blur:-1", "blur:-1 is not from 0.01"),
        ("noise:nan", "noise:nan is not from"),
        ("resize:9", "resize:9 is not from 0.05 to 4"),
        ("jpeg:90;blur:1;jpeg:90", "jpeg:90 stands there twice"),
    ],
)
def test_bad_syntax_is_one_line_that_names_the_field(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert str(caught.value).startswith("config.degradations: ")
    assert words in str(caught.value)


def test_nothing_is_asked_for_by_nothing() -> None:
    assert parse("") == parse(" ; ") == ()


def test_noise_repeats_differs_by_image_and_has_its_deviation() -> None:
    [noise] = parse("noise:8")
    noisy = degrade(IMAGE, noise)
    np.testing.assert_array_equal(noisy, degrade(IMAGE.copy(), noise))
    difference = noisy.astype(int) - IMAGE
    assert difference.std() == pytest.approx(8, rel=0.03)
    other = IMAGE.copy()
    other[0, 0] += 1
    assert (degrade(other, noise).astype(int) - other != difference).mean() > 0.5
    assert (degrade(IMAGE, noise, seed=1) != noisy).mean() > 0.5


def test_blur_smooths_jpeg_coarsens_and_resize_shrinks() -> None:
    blur, strong, weak, half = parse("blur:2;jpeg:10,95;resize:0.5")
    assert degrade(IMAGE, blur).std() < 0.3 * IMAGE.std()
    errors = [np.abs(degrade(IMAGE, jpeg).astype(int) - IMAGE).mean() for jpeg in (weak, strong)]
    assert 0 < errors[0] < errors[1]
    assert degrade(IMAGE, half).shape == (20, 25, 3)


def test_only_a_jpeg_has_a_file_and_its_pixels_are_what_is_seen() -> None:
    jpeg, noise = parse("jpeg:70;noise:4")
    seen = degradations.degrade(IMAGE, jpeg)
    assert seen.encoded.startswith(b"\xff\xd8")
    np.testing.assert_array_equal(read_image(seen.encoded), seen.image)
    assert degradations.degrade(IMAGE, noise).encoded == b""


def test_what_is_shared_is_smaller_and_a_jpeg_of_quality_75() -> None:
    [shared] = parse("shared:0.5")
    seen = degradations.degrade(IMAGE, shared)
    assert seen.image.shape == (20, 25, 3)
    with JpegImagePlugin.JpegImageFile(io.BytesIO(seen.encoded)) as stored:
        assert stored.quantization[0][0] == 8  # 16 at quality 50, half of it at 75
    np.testing.assert_array_equal(read_image(seen.encoded), seen.image)
