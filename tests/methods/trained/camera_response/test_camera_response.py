import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from scipy import ndimage

import splice_jax
from splice_jax.methods.trained.camera_response.localizer import CLOSING, FoundEdges, enclosed, region, splat
from splice_jax.training.loop import train

Configure = Callable[..., ConfigDict]
GAMMA = 1 / 2.4


def splice(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Slanted bars blurred by a lens before the response bends the light, and a disc blurred after it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:144, :192]
    bars = (np.sin((x + random.uniform(-0.4, 0.4) * y) / 10) > 0) & (x > 115)
    light = ndimage.gaussian_filter(np.where(bars, 0.02, 0.75), 2)
    mask = np.hypot(y - random.integers(60, 80), x - random.integers(50, 60)) < random.uniform(30, 36)
    alpha = ndimage.gaussian_filter(mask.astype(float), 2)
    image = 255 * (0.15 * alpha + (1 - alpha) * light**GAMMA)
    image = image[..., None] + random.normal(0, 1, (*light.shape, 3))
    return image.clip(0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def run(tiny: Configure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two devices; not to be changed."""
    folder = tmp_path_factory.mktemp("edges")
    for split, seeds in {"train": range(6), "val": range(10, 12), "test": range(20, 22)}.items():
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for seed in seeds:
            image, mask = splice(seed)
            Image.fromarray(image).save(folder / split / "images" / f"{seed}.png")
            Image.fromarray(mask).convert("L").save(folder / split / "masks" / f"{seed}.png")
    counts = {"num_steps": 60, "log_every": 10, "checkpoint_every": 60, "validate_every": 60}
    fields = {"method": "camera_response", "data_dir": str(folder), "batch_size": 32, "weight_decay": 5e-4}
    train(tiny(**fields, **counts), folder / "run")
    return folder


def test_it_learns_to_tell_edges_within_seconds(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss/total"] for line in lines if "loss/total" in line]
    assert losses[-1] < 0.5 * losses[0]
    assert "edges_per_second" in lines[0] and "edges/right" in lines[0]
    assert lines[-1]["validation/edge_auc"] > 0.9


def test_a_run_is_loaded_and_finds_the_region(run: Path) -> None:
    image, mask = splice(20)
    localizer = splice_jax.load(run / "run")
    found: Any = localizer(image)
    assert localizer.name == "camera_response" and found.probability.shape == mask.shape
    assert found.edge_probability.shape == (len(found.edge_positions),)
    assert found.further_scores(mask)["edge_auc"] > 0.9
    assert found.probability[mask].mean() > found.probability[~mask].mean() + 0.2
    again: Any = localizer(image)
    np.testing.assert_array_equal(found.probability, again.probability)


def test_an_image_without_edges_has_an_empty_map(run: Path) -> None:
    localizer = splice_jax.load(run / "run")
    for size in ((25, 25, 3), (60, 70, 3)):
        found = localizer(np.full(size, 90, np.uint8))
        assert found.probability.shape == size[:2] and not found.probability.any()


def square(first: int, last: int) -> np.ndarray:
    """The outline of a square, pixel by pixel."""
    side = np.arange(first, last + 1)
    ends = np.full_like(side, first), np.full_like(side, last)
    return np.concatenate([np.stack(pair, 1) for end in ends for pair in ((end, side), (side, end))]).astype(np.int32)


def test_edges_that_look_forged_are_closed_and_filled_at_their_probability() -> None:
    outline = square(40, 80)
    gap = (outline[:, 1] == 40) & (abs(outline[:, 0] - 60) < CLOSING)  # twice as many pixels less one are missing
    other = square(110, 120)
    positions = np.concatenate([outline[~gap], other])
    forged = np.concatenate([np.full((~gap).sum(), 0.8), np.full(len(other), 0.3)]).astype(np.float32)
    found = enclosed(positions, forged, (140, 150))
    inside = np.zeros((140, 150), bool)
    inside[41:80, 41:80] = True
    np.testing.assert_allclose(found[inside], 0.8, atol=1e-6)
    np.testing.assert_allclose(found[111:120, 111:120], 0.3, atol=1e-6)
    assert not found[:30].any() and not found[:, :30].any() and not found[60, 135:].any()


def test_a_contour_with_a_wide_gap_is_not_filled() -> None:
    outline = square(20, 100)
    open_outline = outline[~((outline[:, 1] == 20) & (abs(outline[:, 0] - 60) < 36))]
    found = enclosed(open_outline, np.ones(len(open_outline), np.float32), (130, 130))
    assert found[60, 60] == 0 and found[20, 60] == 1


def test_neighbouring_judgements_are_averaged() -> None:
    positions = np.array([[30, column] for column in range(10, 90)], np.int32)
    forged = np.full(80, 0.2, np.float32)
    forged[40] = 1  # one edge pixel by itself convinces nobody
    assert enclosed(positions, forged, (60, 100)).max() < 0.35


def test_a_splat_is_the_mean_of_the_edges_around_and_nothing_far_from_all() -> None:
    positions = np.array([[100, 100], [100, 140]], np.int32)
    found = splat(positions, np.array([0.9, 0.3], np.float32), (200, 500))
    assert found[100, 120] == pytest.approx(0.6, abs=1e-3)
    assert 0.6 < found[100, 100] < 0.9 and 0.3 < found[100, 140] < 0.6
    assert found[100, 400] < 1e-3
    assert not splat(positions[:0], np.empty(0, np.float32), (20, 30)).any()


def test_the_map_is_the_higher_of_both() -> None:
    outline = square(40, 100)
    forged = np.full(len(outline), 0.7, np.float32)
    both = [join(outline, forged, (150, 150)) for join in (splat, enclosed)]
    np.testing.assert_array_equal(region(outline, forged, (150, 150)), np.maximum(*both))
    assert both[0].max() > 0.69 and both[1][70, 70] == pytest.approx(0.7)


def test_scores_of_edges_by_hand() -> None:
    mask = np.zeros((50, 50), bool)
    mask[:, 25:] = True
    positions = np.array([[20, 24], [20, 26], [20, 5], [20, 45], [20, 30]], np.int32)
    probability = np.array([0.9, 0.4, 0.5, 0.1, 1.0], np.float32)  # the last is neither
    empty = np.zeros((50, 50), np.float32)
    found = FoundEdges(empty, empty > 0, edge_positions=positions, edge_probability=probability)
    assert found.further_scores(mask) == {"edge_auc": pytest.approx(0.75, abs=1e-3)}
    assert np.isnan(found.further_scores(np.zeros_like(mask))["edge_auc"])
    assert np.isnan(FoundEdges(empty, empty > 0).further_scores(mask)["edge_auc"])
