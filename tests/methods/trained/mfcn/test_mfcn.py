import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

import splice_jax
from splice_jax.data import open_split
from splice_jax.errors import UserError
from splice_jax.methods.registry import family
from splice_jax.methods.trained.mfcn.localizer import BUCKET, MfcnLocalizer, windows, within_edges
from splice_jax.methods.trained.mfcn.method import FAMILY
from splice_jax.models.mfcn import MFCN
from splice_jax.runs.load import load
from splice_jax.training.loop import train
from splice_jax.weights.archive import save_variables
from tests.killing import Killed

Configure = Callable[..., ConfigDict]


@pytest.fixture(scope="module")
def small(tiny: Configure) -> Configure:
    """As `tiny`: the narrowest network on crops of 64 pixels, two to a device."""

    def configuration(**changes: Any) -> ConfigDict:
        fields = {"method": "mfcn", "width": 1 / 16, "crop_size": 64, "batch_size": 4, "learning_rate": 1e-2}
        counts = {"num_steps": 30, "log_every": 3, "checkpoint_every": 12, "validate_every": 30}
        return tiny(**{**fields, **counts, "validation_images": 1, **changes})

    return configuration


@pytest.fixture(scope="module")
def run(small: Configure, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run on two devices, never interrupted; not to be changed."""
    workdir = tmp_path_factory.mktemp("runs") / "mfcn"
    return workdir, train(small(), workdir)


def lines(workdir: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "crops_per_second"} for line in found]


def test_it_learns_within_seconds(run: tuple[Path, Any]) -> None:
    losses = [line for line in lines(run[0]) if "loss/total" in line]
    assert {"loss/surface", "loss/edge"} < set(losses[0])
    assert losses[0]["loss/total"] == pytest.approx(losses[0]["loss/surface"] + losses[0]["loss/edge"], rel=1e-5)
    assert losses[-1]["loss/total"] < 0.75 * losses[0]["loss/total"]
    assert losses[0]["loss/total"] < 4 * math.log(2)
    assert "validation/auc" in lines(run[0])[-1]


def test_a_run_killed_ends_bit_for_bit_as_the_one_that_was_not(
    small: Configure, run: tuple[Path, Any], tmp_path: Path, kill: Callable[[str, int], None]
) -> None:
    kill("step", 18)
    with pytest.raises(Killed):
        train(small(), tmp_path)
    state = train(small(), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, state, run[1])
    assert lines(tmp_path) == lines(run[0])


def test_a_run_is_loaded_as_each_of_its_rows(run: tuple[Path, Any]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    localizer: Any = splice_jax.load(run[0])
    surface, edge = localizer.maps(image)
    found = localizer(image)
    np.testing.assert_array_equal(found.probability, surface)
    np.testing.assert_array_equal(found.mask, surface >= 0.5)
    assert surface.shape == (70, 90) and found.label_probability is None
    combined = load(run[0], row="mfcn_edge")
    assert combined.name == "mfcn_edge"
    np.testing.assert_array_equal(combined(image).probability, within_edges(surface, edge))
    with pytest.raises(UserError, match="holds no row 'sfcn'; it has mfcn, mfcn_edge"):
        load(run[0], row="sfcn")


def test_a_step_on_two_devices_is_the_step_on_one(small: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss alone: the whole batch at once, and its halves over a mapped axis."""
    config = small(augment=False)
    network = family("mfcn").network(config)
    variables = family("mfcn").initial_variables(network, jax.random.key(0))
    examples = open_split(config.dataset, config.data_dir, "train")
    training = family("mfcn").training(config, network, variables, examples)
    batch, loss = next(training.batches), training.loss
    key = jax.random.key(0)
    whole, (statistics, _) = jax.jit(loss, static_argnums=3)(variables, batch, key, None)
    halves = {name: column.reshape(2, -1, *column.shape[1:]) for name, column in batch.items()}
    mapped = jax.vmap(lambda half: loss(variables, half, key, "devices"), axis_name="devices")
    parts, (averaged, _) = jax.jit(mapped)(halves)
    assert float(parts.mean()) == pytest.approx(float(whole), rel=1e-5)  # scores start at 0, whatever is dropped
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two[0], rtol=1e-3, atol=1e-5), statistics, averaged)


class Ramp:
    """In the place of the network: the surface is the column, the edge the row, both over the padded side."""

    edge = True

    def apply(self, variables: Any, images: Any) -> Any:
        _, height, width, _ = images.shape
        y, x = jnp.meshgrid(jnp.arange(height) + 1.0, jnp.arange(width) + 1.0, indexing="ij")
        assert height % BUCKET == width % BUCKET == 0
        return [jnp.log(jnp.stack([plane, plane], axis=-1) / 2000)[None] for plane in (x, y)]


def test_an_image_is_continued_and_cut_again_and_a_large_one_covered_by_windows() -> None:
    network: Any = Ramp()
    localizer = MfcnLocalizer("mfcn", network, {"params": {}})
    surface, edge = localizer.maps(np.zeros((3, 130, 3), np.uint8))
    np.testing.assert_allclose(surface, np.broadcast_to((np.arange(130) + 1) / 2000, (3, 130)), rtol=1e-5)
    np.testing.assert_allclose(edge[:, 0], (np.arange(3) + 1) / 2000, rtol=1e-5)
    wide, _ = localizer.maps(np.zeros((2, 1500, 3), np.uint8))
    columns = np.arange(1500) + 1.0
    expected = np.where(columns <= 220, columns, np.where(columns > 1280, columns - 220, columns - 110)) / 2000
    np.testing.assert_allclose(wide[0], expected, rtol=1e-5)


@pytest.mark.parametrize("side", [1, 1280, 1281, 2304, 2305, 4000])
def test_windows_cover_a_side_and_overlap(side: int) -> None:
    found = windows(side)
    assert found[0].start == 0 and found[-1].stop == side
    assert all(first.stop - second.start >= 256 for first, second in zip(found, found[1:], strict=False))
    assert len({window.stop - window.start for window in found}) == 1 and found[0].stop <= 1280


def ring(size: int, inner: slice, *, gap: bool = False) -> np.ndarray:
    """An edge map with a square contour, three pixels thick, around `inner`."""
    edge = np.full((size, size), 0.1, np.float32)
    outer = slice(inner.start - 3, inner.stop + 3)
    edge[outer, outer] = 0.9
    edge[inner, inner] = 0.1
    if gap:
        edge[: inner.start, inner.start + 2] = 0.1
    return edge


def test_within_a_closed_contour_the_surface_counts_and_elsewhere_nothing() -> None:
    surface = np.full((40, 40), 0.4, np.float32)
    surface[10:38, 12:20] = 0.8
    found = within_edges(surface, ring(40, slice(10, 24)))
    inside = np.zeros((40, 40), bool)
    inside[7:27, 7:27] = True
    np.testing.assert_array_equal(found, np.where(inside, surface, 0))
    np.testing.assert_array_equal(found >= 0.5, inside & (surface >= 0.5))


@pytest.mark.parametrize(
    "edge",
    [
        ring(40, slice(10, 24), gap=True),
        ring(40, slice(10, 14)),  # a hole of 16 pixels is a gap in a thick edge
        np.roll(ring(40, slice(10, 20)), 18, axis=1),  # a contour, but around nothing of the surface
        np.zeros((40, 40), np.float32),
    ],
)
def test_where_no_contour_closes_around_it_the_surface_stays(edge: np.ndarray) -> None:
    surface = np.full((40, 40), 0.2, np.float32)
    surface[12:20, 12:20] = 0.9
    np.testing.assert_array_equal(within_edges(surface, edge), surface)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0.01}, "width: 0.01 is not from 0.0625 to 1"),
        ({"width": 2.0}, "width: 2.0 is not from"),
        ({"crop_size": 100}, "crop_size: 100 is no multiple of 32 pixels"),
        ({"trunk_normalization": "unit"}, "trunk_normalization: 'unit' is none of imagenet, vgg_mean"),
        ({"trunk_weights": "vgg.npz"}, "trunk_weights: fit the published network only, and config.width is 0.0625"),
        ({"orientations": 8}, "orientations: 8, but mfcn looks once"),
        ({"optimizer": "lamb"}, "optimizer: 'lamb' is none of adam, adamw, sgd"),
        ({"batch_size": 3}, "batch_size: 3 is no multiple of the number of devices, 2"),
        ({"batch_size": 16}, "batch_size 16 is larger than the data: 7"),
    ],
)
def test_a_field_that_cannot_be_is_named(
    small: Configure, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^config\.{message}"):
        train(small(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_weights_are_the_trunk_s_alone(small: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = FAMILY.variable_shapes(MFCN(4))
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), shapes)
    trunk = {name: jax.tree.map(lambda leaf: 7 * leaf, variables[name]["trunk"]) for name in variables}
    save_variables(trunk, tmp_path / "vgg.npz")
    loaded = FAMILY.with_weights(variables, small(trunk_weights=str(tmp_path / "vgg.npz")))
    assert all((leaf == 7).all() for name in loaded for leaf in jax.tree.leaves(loaded[name]["trunk"]))
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(loaded["params"]["surface"]))
    assert capsys.readouterr().out == ""
    assert FAMILY.with_weights(variables, small()) is variables
    assert "trained from scratch" in capsys.readouterr().out


def test_what_is_not_the_published_network_is_marked(small: Configure, tiny: Configure) -> None:
    note = FAMILY.note
    assert note(small()) == "width 0.0625, trunk_normalization imagenet, from scratch"
    assert note(small(width=1.0, trunk_weights="vgg16_bn.npz", trunk_normalization="vgg_mean")) == ""
    assert note(small(width=1.0, method="sfcn", trunk_normalization="vgg_mean")) == "from scratch"
