import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from splice_jax.data.sets.builders.synthetic import COUNTS, HEIGHT, WIDTH, synthetic_splice

PATCH = 32


def test_images_follow_from_split_index_and_seed_alone():
    names = [("train", 3, 0), ("train", 4, 0), ("val", 3, 0), ("train", 3, 1)]
    encoded = [synthetic_splice(*name).encoded_image() for name in names]
    assert synthetic_splice(*names[0]).encoded_image() == encoded[0]
    assert len(set(encoded)) == 4


def test_images_have_one_size_and_a_sensible_share():
    splices = [synthetic_splice("test", index) for index in range(20)]
    assert {splice.image.shape for splice in splices} == {(HEIGHT, WIDTH, 3)}
    shares = [splice.mask.mean() for splice in splices]
    assert min(shares) >= 0.06 and max(shares) <= 0.5 and np.ptp(shares) > 0.15
    assert COUNTS.keys() == {"train", "val", "test"}


@pytest.fixture(scope="module")
def patches() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Mean colours, residual strengths and labels of the unmixed patches, for training and held-out images."""
    return {split: tuple(map(np.concatenate, zip(*map(_described, [split] * 40, range(40)), strict=True)))
            for split in ("train", "test")}  # fmt: skip


def _described(split: str, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    splice = synthetic_splice(split, index)
    image = splice.image.astype(float)
    residual = np.zeros_like(image)
    residual[1:-1] = np.abs(2 * image[1:-1] - image[:-2] - image[2:])
    colour, detail, share = (_means(pixels) for pixels in (image, residual, splice.mask[..., None]))
    unmixed = np.abs(share[:, 0] - 0.5) > 0.375
    return colour[unmixed], np.log1p(detail[unmixed]), share[unmixed, 0] > 0.5


def _means(pixels: np.ndarray) -> np.ndarray:
    height, width, channels = pixels.shape
    cells = pixels.reshape(height // PATCH, PATCH, width // PATCH, PATCH, channels)
    return cells.mean(axis=(1, 3)).reshape(-1, channels)


@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), RandomForestClassifier(60, min_samples_leaf=5, random_state=0)],
    ids=["linear", "forest"],
)
def test_colour_tells_nothing_and_fine_detail_much(classifier, patches):
    colours, details, labels = patches["train"]
    held_out_colours, held_out_details, truth = patches["test"]
    guess = classifier.fit(colours, labels).predict_proba(held_out_colours)[:, 1]
    assert roc_auc_score(truth, guess) < 0.6
    guess = classifier.fit(details, labels).predict_proba(held_out_details)[:, 1]
    assert roc_auc_score(truth, guess) > 0.7
