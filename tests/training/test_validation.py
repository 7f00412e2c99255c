import dataclasses

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sklearn

from splice_jax.data import Example
from splice_jax.methods import Found, Localizer
from splice_jax.training.validation import PICTURE_HEIGHT, PICTURE_WIDTH, PICTURES, validate

RANDOM = np.random.default_rng(0)


class Remembered(Localizer):
    """Has a map for every image."""

    name = "sgn"

    def __init__(self, maps: list[np.ndarray]) -> None:
        self.maps = iter(maps)

    def __call__(self, image: np.ndarray) -> Found:
        probability = next(self.maps)
        return Found(probability, probability >= 0.5)


def example(height: int, width: int) -> Example:
    mask = np.zeros((height, width), bool)
    mask[: height // 2] = True
    return Example(RANDOM.integers(0, 256, (height, width, 3), np.uint8), mask, "image", False)


EXAMPLES = [example(height, 40) for height in (30, 50, 20, 20, 20)]
# In 16 levels, which a 16-bit map holds exactly.
MAPS = [(np.rint(15 * (0.6 * RANDOM.random(e.mask.shape) + 0.3 * e.mask)) / 15).astype("f4") for e in EXAMPLES]


def best(score, mask: np.ndarray, probability: np.ndarray) -> float:
    thresholds = np.unique(probability)
    return max(score(mask.ravel(), (probability >= threshold).ravel()) for threshold in thresholds)


def test_scores_are_means_over_images_of_scikit_learn_s() -> None:
    scores, _ = validate(Remembered(MAPS), EXAMPLES[:2])
    pairs = [(e.mask, map_) for e, map_ in zip(EXAMPLES[:2], MAPS, strict=False)]
    expected = {
        "f1": np.mean([sklearn.f1_score(m.ravel(), (p >= 0.5).ravel()) for m, p in pairs]),
        "mcc": np.mean([sklearn.matthews_corrcoef(m.ravel(), (p >= 0.5).ravel()) for m, p in pairs]),
        "auc": np.mean([sklearn.roc_auc_score(m.ravel(), p.ravel()) for m, p in pairs]),
        "f1_best": np.mean([best(sklearn.f1_score, m, p) for m, p in pairs]),
        "mcc_best": np.mean([best(sklearn.matthews_corrcoef, m, p) for m, p in pairs]),
    }
    assert scores == pytest.approx({f"validation/{name}": value for name, value in expected.items()})
    assert 0 < scores["validation/mcc"] < scores["validation/mcc_best"] < 1


def test_a_localizer_gets_the_file_where_there_is_one() -> None:
    given: list[tuple[np.ndarray, bytes | None]] = []

    class Recording(Localizer):
        name = "dct"

        def __call__(self, image: np.ndarray) -> Found:
            given.append((image, None))
            return Found(np.zeros(image.shape[:2], np.float32), np.zeros(image.shape[:2], bool))

        def localize_encoded(self, image: np.ndarray, encoded: bytes) -> Found:
            found = self(image)
            given[-1] = image, encoded
            return found

    with_file = dataclasses.replace(EXAMPLES[0], encoded=b"JPEG")
    validate(Recording(), [with_file, EXAMPLES[1]])
    (first, encoded), (second, nothing) = given
    assert (encoded, nothing) == (b"JPEG", None)
    assert first is EXAMPLES[0].image and second is EXAMPLES[1].image


def test_the_first_images_are_pictured_beside_mask_and_map() -> None:
    _, picture = validate(Remembered(MAPS), EXAMPLES)
    assert picture.shape == (PICTURES * PICTURE_HEIGHT, 3 * PICTURE_WIDTH, 3)
    size = PICTURE_WIDTH, PICTURE_HEIGHT
    for row, (shown, map_) in enumerate(zip(EXAMPLES[:PICTURES], MAPS, strict=False)):
        strip = picture[row * PICTURE_HEIGHT :][:PICTURE_HEIGHT]
        for column, tile in enumerate((shown.image, 255 * shown.mask, np.rint(255 * map_))):
            expected = Image.fromarray(tile.astype(np.uint8)).convert("RGB").resize(size, Image.Resampling.LANCZOS)
            np.testing.assert_array_equal(strip[:, column * PICTURE_WIDTH :][:, :PICTURE_WIDTH], expected)


def test_fewer_images_give_a_lower_picture() -> None:
    found = validate(Remembered(MAPS), EXAMPLES[:1])
    assert found and found[1].shape == (PICTURE_HEIGHT, 3 * PICTURE_WIDTH, 3)


def test_an_image_spliced_everywhere_has_no_auc_and_spoils_no_mean():
    everywhere = Example(EXAMPLES[0].image, np.ones(EXAMPLES[0].mask.shape, bool), "everywhere", False)
    alone, _ = validate(Remembered([MAPS[1]]), EXAMPLES[1:2])
    both, _ = validate(Remembered([MAPS[0], MAPS[1]]), [everywhere, EXAMPLES[1]])
    assert both["validation/auc"] == alone["validation/auc"]
    nothing, _ = validate(Remembered([MAPS[0]]), [everywhere])
    assert nothing["validation/auc"] == 0


def test_scores_of_the_localizer_s_own_are_averaged_where_they_are_defined():
    class Own(Found):
        def further_scores(self, mask: np.ndarray) -> dict[str, float]:
            return {"edge_auc": own.pop()}

    class Judging(Remembered):
        def __call__(self, image: np.ndarray) -> Found:
            return Own(**vars(super().__call__(image)))

    own = [0.5, float("nan"), 0.9]
    found = validate(Judging(MAPS[:3]), EXAMPLES[:3])
    assert found and found[0]["validation/edge_auc"] == pytest.approx(0.7)
