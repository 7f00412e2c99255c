import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import splice_jax
from splice_jax.crf import CrfParameters, refine
from splice_jax.data import open_split
from splice_jax.data.sets.builders import cache
from splice_jax.errors import UserError
from splice_jax.methods.registry import family
from splice_jax.methods.trained import crf_layer
from splice_jax.models.semi_global_traces import SemiGlobalTraces
from splice_jax.models.traces import bank
from splice_jax.runs.checkpoints import BEST, Checkpoints
from splice_jax.runs.configuration import load_config
from splice_jax.training import loop
from splice_jax.training.loop import train
from tests.killing import Killed

Configure = Callable[..., ConfigDict]


def lines(workdir: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "crops_per_second"} for line in found]


def test_it_learns_within_seconds(run: Any) -> None:
    losses = [line for line in lines(run.workdir) if "loss/total" in line]
    terms = {f"loss/{term}" for term in ("fine", "blocks", "dice", "image")}
    assert terms < set(losses[0]) and "image/accuracy" in losses[0]
    for line in losses:
        assert line["loss/total"] == pytest.approx(sum(line[term] for term in terms), rel=1e-5)
    assert losses[-1]["loss/total"] < 0.8 * losses[0]["loss/total"]
    assert "validation/auc" in lines(run.workdir)[-1]


def test_a_run_killed_ends_bit_for_bit_as_the_one_that_was_not(
    small: Configure, run: Any, tmp_path: Path, kill: Callable[[str, int], None]
) -> None:
    kill("step", 12)
    with pytest.raises(Killed):
        train(small(), tmp_path)
    state = train(small(), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, state, run.state)
    assert lines(tmp_path) == lines(run.workdir)


def test_averaged_parameters_are_what_is_kept_and_loaded(run: Any) -> None:
    best, _ = Checkpoints(run.workdir, BEST).restore(run.state.variables)
    jax.tree.map(np.testing.assert_array_equal, best, {"params": run.state.average})
    away = jax.tree.map(lambda one, two: np.abs(one - two).max(), run.state.average, run.state.params)
    assert max(jax.tree.leaves(away)) > 1e-4
    localizer = splice_jax.load(run.workdir)
    assert localizer.name == "sgt"
    jax.tree.map(np.testing.assert_array_equal, dict(localizer.variables), best)


def test_a_new_network_s_corrections_are_nothing_and_the_key_decides_the_rest(small: Configure) -> None:
    rows = family("sgt")
    draw = type(rows).initial_variables.__wrapped__  # type: ignore[attr-defined]  # not shared among tests
    first, again, other = (draw(rows, rows.network(small()), jax.random.key(seed))["params"] for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.any(first["correction"]["kernel"]) and not np.any(first["correction"]["bias"])
    assert np.any(first["enter"]["kernel"] != other["enter"]["kernel"])
    assert first["enter"]["kernel"].shape == (2 * bank.COUNT, 8)


def test_authentic_images_are_learnt_from_and_measured_once(run: Any, small: Configure) -> None:
    tables = cache().parent / "trace_tables"
    before = set(tables.iterdir())
    config = small()
    examples, _ = loop.training_data(config)
    assert [example.authentic for example in examples] == [False] * 6 + [True] * 3
    training = family("sgt").training(config, family("sgt").network(config), {}, examples)
    assert training.steps_per_epoch == 2 and set(tables.iterdir()) == before
    batch = next(training.batches)
    assert batch["traces"].shape == (4, 16, 16, bank.COUNT) and batch["targets"].shape == (4, 32, 32)


class Constant:
    """In the place of the network: its logits are one number per head, and it remembers what it is given."""

    seen: Any = None

    def apply(self, variables: Any, traces: Any, colours: Any, inside: Any) -> Any:
        from splice_jax.models.semi_global_traces import Logits

        self.seen = traces, colours, inside
        fine, blocks, image = variables["params"]["logits"]
        rows, columns = inside.shape[1:]
        ones = np.ones((len(inside), rows, columns), np.float32)
        return Logits(blocks * ones, fine * ones.repeat(2, 1).repeat(2, 2), image * ones[:, 0, 0])


@pytest.fixture(scope="module")
def batch(run: Any, small: Configure) -> dict[str, Any]:
    """Four crops: two of them spliced, one padded."""
    random = np.random.default_rng(0)
    targets, inside = np.zeros((4, 32, 32), np.uint8), np.ones((4, 16, 16), np.uint8)
    targets[0, 4:20, 4:24], targets[1, :2, :2], targets[2, 0, 0] = 255, 128, 255
    inside[1, 12:], inside[1, :, 10:] = 0, 0
    return {
        "traces": random.normal(0, 1, (4, 16, 16, bank.COUNT)).astype(np.float16),
        "colours": random.integers(0, 256, (4, 32, 32, 3), np.uint8),
        "targets": targets,
        "inside": inside,
        "medians": random.normal(0, 0.1, (4, bank.COUNT)).astype(np.float32),
        "spreads": random.uniform(0.5, 1, (4, bank.COUNT)).astype(np.float32),
    }


def loss_of(config: ConfigDict, network: Any, **changes: Any) -> Any:
    from splice_jax.methods.trained.semi_global_traces.training import loss

    options = {"dropout": 0.0, "augment": False} | changes
    return loss(network, config.loss, options["dropout"], augment=options["augment"])


def test_the_loss_by_hand(small: Configure, batch: dict[str, Any]) -> None:
    network = Constant()
    variables = {"params": {"logits": np.array([-1.0, 0.5, 2.0], np.float32)}, "batch_stats": {}}
    total, (_, scalars) = loss_of(small(), network)(variables, batch, jax.random.key(0), None)
    traces, colours, _ = network.seen
    np.testing.assert_allclose(
        traces,
        np.stack(
            [
                bank.standardised(*each)
                for each in zip(*(batch[n] for n in ("traces", "medians", "spreads")), strict=True)
            ]
        ),
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_allclose(colours, batch["colours"] / 127.5 - 1, atol=1e-6)
    sigmoid = 1 / (1 + np.exp(-np.array([-1.0, 0.5, 2.0])))
    share, inside = batch["targets"] / 255, batch["inside"].astype(float)
    fine_inside = inside.repeat(2, 1).repeat(2, 2)

    def entropy(target: np.ndarray, counted: np.ndarray, p: float, weight: float) -> float:
        each = -(weight * target * np.log(p) + (1 - target) * np.log(1 - p))
        return float((each * counted).sum() / counted.sum())

    coarse = share.reshape(4, 16, 2, 16, 2).mean((2, 4))
    spliced: Any = share.sum((1, 2)) / fine_inside.sum((1, 2)) > 0.01
    assert spliced.tolist() == [True, False, False, False]
    p = sigmoid[0] * fine_inside[0]
    dice = 1 - (2 * (p * share[0]).sum() + 1) / (p.sum() + share[0].sum() + 1)
    expected = {
        "fine": entropy(share, fine_inside, sigmoid[0], 2.0),
        "blocks": 0.5 * entropy(coarse, inside, sigmoid[1], 2.0),
        "dice": 0.5 * dice,
        "image": 0.2 * entropy(spliced.astype(float), np.ones(4), sigmoid[2], 1.0),
    }
    for name, value in expected.items():
        assert float(scalars[f"loss/{name}"]) == pytest.approx(value, rel=1e-4), name
    assert float(total) == pytest.approx(sum(expected.values()), rel=1e-4)
    assert float(scalars["image/accuracy"]) == 0.25


def test_a_dropped_trace_is_missing_everywhere_in_an_example(small: Configure, batch: dict[str, Any]) -> None:
    network = Constant()
    variables = {"params": {"logits": np.zeros(3, np.float32)}, "batch_stats": {}}
    loss_of(small(), network)(variables, batch, jax.random.key(1), None)
    whole = np.asarray(network.seen[0])
    loss_of(small(), network, dropout=0.25)(variables, batch, jax.random.key(1), None)
    dropped = np.asarray(network.seen[0])
    gone: Any = ~dropped.any((1, 2))
    assert 0.15 < gone.mean() < 0.35 and len({row.tobytes() for row in gone}) == 4
    expected = np.where(gone[:, None, None], 0, whole / 0.75)
    np.testing.assert_allclose(dropped, expected, rtol=1e-5)


def test_everything_of_an_example_is_turned_alike(small: Configure, batch: dict[str, Any]) -> None:
    """Marks in all arrays at one place are at one place afterwards, in at least two ways of turning."""
    network = Constant()
    variables = {"params": {"logits": np.zeros(3, np.float32)}, "batch_stats": {}}
    marked = {name: np.zeros_like(array) for name, array in batch.items()}
    marked["traces"][:, 2, 5], marked["colours"][:, 4:6, 10:12], marked["spreads"][:] = 1, 255, 1
    marked["inside"][:, 2, 5] = 1
    places = set()
    for seed in range(3):
        loss_of(small(), network, augment=True)(variables, marked, jax.random.key(seed), None)
        traces, colours, inside = (np.asarray(array) for array in network.seen)
        for number in range(4):
            ((y, x),) = np.argwhere(inside[number] > 0)
            level = traces[number, ..., 0]
            assert level[y, x] != level[0, 0] and (np.delete(level.ravel(), 16 * y + x) == level[0, 0]).all()
            expected = np.kron(inside[number], np.ones((2, 2))) * 2 - 1
            np.testing.assert_allclose(colours[number, ..., 0], expected, atol=1e-6)
            places.add((int(y), int(x)))
    assert len(places) > 3


def test_a_step_on_two_devices_is_the_step_on_one(small: Configure, batch: dict[str, Any]) -> None:
    """The loss alone: the whole batch at once, and its halves, which count differently, over a mapped axis."""
    config = small()
    network = SemiGlobalTraces(8, 16, 1, 4)
    variables = family("sgt").initial_variables(network, jax.random.key(0))
    compute = loss_of(config, network, dropout=0.3, augment=True)
    key = jax.random.key(0)

    def gradient(params: Any, part: Any, axis_name: str | None) -> Any:
        def of(params: Any) -> Any:
            total, (_, scalars) = compute({"params": params, "batch_stats": {}}, part, key, axis_name)
            return total, scalars["loss/total"]

        return jax.grad(of, has_aux=True)(params)

    whole, total = jax.jit(gradient, static_argnums=2)(variables["params"], batch, None)
    halves = {name: column.reshape(2, -1, *column.shape[1:]) for name, column in batch.items()}
    mapped = jax.vmap(lambda half: gradient(variables["params"], half, "devices"), axis_name="devices")
    parts, totals = jax.jit(mapped)(halves)
    assert float(totals.mean()) == pytest.approx(float(total), rel=1e-5)
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(whole))
    for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(two.mean(0), one, rtol=1e-3, atol=1e-4 * largest)


def test_validation_leaves_authentic_images_out(small: Configure) -> None:
    config = small()
    assert len(open_split(config.dataset, config.data_dir, "val")) == 1
    _, validation = loop.training_data(config)
    assert [example.authentic for example in validation] == [False]


def test_the_crf_is_trained_with_the_network_of_a_run_and_what_it_learned_refines_the_run_s_maps(
    small: Configure, run: Any, tmp_path: Path
) -> None:
    changes = {"init": str(run.workdir), "loss": {"crf": 1.0}, "crf": {"iterations": 1}, "num_steps": 2}
    config = small(**changes, log_every=1, validate_every=1, learning_rate=1e-3)
    state = train(config, tmp_path)
    own, learned = crf_layer.parted(state.variables)
    written = load_config(tmp_path).crf
    assert config.crf.bilateral_weight == 10 != learned["bilateral_weight"]
    first, *_ = [line for line in lines(tmp_path) if "loss/crf" in line]
    assert first["loss/total"] == pytest.approx(
        sum(first[f"loss/{t}"] for t in ("fine", "blocks", "dice", "image", "crf"))
    )
    assert all(written[name] != config.crf[name] for name in learned)
    # Going on from the end changes nothing, and keeps what was learned.
    train(config, tmp_path)
    assert load_config(tmp_path).crf.to_dict() == written.to_dict()
    image = open_split(config.dataset, config.data_dir, "val")[0].image
    plain, refined = (splice_jax.load(tmp_path, crf=name)(image).probability for name in ("none", "jax"))
    wanted = refine("jax", image, plain, CrfParameters.from_config(written))
    np.testing.assert_array_equal(refined, wanted)


def test_what_training_cannot_start_from_is_named(small: Configure, run: Any, tmp_path: Path) -> None:
    for init, message in {
        "imagenet": "^imagenet: no such folder",
        str(run.workdir): rf"^config\.init: {run.workdir} holds another network; it differs in trace_depth$",
    }.items():
        with pytest.raises(UserError, match=message):
            train(small(init=init, trace_depth=32), tmp_path)
    with pytest.raises(UserError, match=r"^config\.init: sgn comes without a trained model; name the folder of a run"):
        train(small(init="packaged", method="sgn"), tmp_path)
