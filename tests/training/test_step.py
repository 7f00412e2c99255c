from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from splice_jax.augmentation import dihedral, example_keys
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.methods.trained.semi_global.training import loss
from splice_jax.models.semi_global import Outputs, initial_variables
from splice_jax.runs.load import network_from_config
from splice_jax.training.optimizer import make_optimizer
from splice_jax.training.step import AveragedState, ParallelStep, State, StepSpec, initial_state

OPTIMIZER = make_optimizer(optax.constant_schedule(1e-3), frozen=FAMILY.frozen)
TERMS = {"beta": 10.0, "smooth": 0.1, "normalization": "weight", "class_weights": (1.0, 5.0)}
LOSS = ConfigDict(TERMS | {"of_another_method": 1.0})  # All methods' fields stand in one section.


class Case:
    """A step, by default on all devices there are, compiled once, with a state and a batch for it."""

    def __init__(
        self, network: Any, variables: Any, batch: dict[str, np.ndarray], *, augment: bool = False, devices: Any = None
    ) -> None:
        self.network, self.batch = network, batch
        spec = StepSpec(loss(network, LOSS, augment=augment), OPTIMIZER, FAMILY.frozen)
        self.parallel = ParallelStep(spec, devices=devices)
        self.state = jax.tree.map(np.asarray, initial_state(variables, OPTIMIZER, 0))

    def after(self, steps: int, state: State | None = None) -> tuple[State, dict[str, float]]:
        """The state after some steps, and the last step's scalars."""
        replicas = self.parallel.replicate(self.state if state is None else state)
        for _ in range(steps):
            replicas, scalars = self.parallel(replicas, self.batch)
        return self.parallel.unreplicate(replicas), {name: value.item() for name, value in scalars.items()}


def batch_of(images: int, backbone: np.ndarray) -> dict[str, np.ndarray]:
    """Two patches of each image; of the second half of the images one is spliced, so that devices weigh differently."""
    n = 2 * images
    masks = np.zeros((n, 64, 64), np.uint8)
    masks[images::2] = 1
    return {
        "patches": np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), np.uint8),
        "masks": masks,
        "labels": masks[:, 0, 0].astype(np.int32),
        "image": np.repeat(np.arange(images, dtype=np.int32), 2),
        "backbone": backbone,
        "residual_levels": np.full(images, 0.01, np.float32),
    }


def moments(state: State) -> tuple[Any, Any]:
    """Adam's, of the trained parameters."""
    adam = state.optimizer_state.inner_states["trained"].inner_state[0]
    return adam.mu, adam.nu


def norm(tree: Any) -> float:
    return float(np.sqrt(sum((leaf.astype(np.float64) ** 2).sum() for leaf in jax.tree.leaves(tree))))


def assert_identical(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.fixture(scope="module")
def case(tiny: Callable[..., ConfigDict]) -> Case:
    """The smallest Semi-Global Network on two devices."""
    network = network_from_config(tiny())
    thumbnails = np.random.default_rng(1).integers(0, 256, (4, 224, 224, 3), np.uint8)
    return Case(network, initial_variables(network, jax.random.key(0)), batch_of(4, thumbnails))


@pytest.fixture(scope="module")
def stepped(case: Case) -> tuple[State, dict[str, float]]:
    return case.after(1)


def test_a_step_on_two_devices_is_the_step_on_one(case: Case, stepped: tuple[State, dict[str, float]]) -> None:
    variables = {"params": case.state.params, "batch_stats": case.state.batch_stats}
    single = Case(case.network, variables, case.batch, devices=jax.local_devices()[:1])
    assert (single.parallel.devices, case.parallel.devices) == (1, 2)
    (on_one, scalars_of_one), (on_two, scalars_of_two) = single.after(1), stepped
    assert scalars_of_two == pytest.approx(scalars_of_one, rel=1e-4)
    # After one step moments are gradients and their squares, times a factor; BatchNorm has seen the whole batch.
    for one, two in zip(
        jax.tree.leaves((moments(on_one), on_one.batch_stats)),
        jax.tree.leaves((moments(on_two), on_two.batch_stats)),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4 * np.abs(one).max())
    # Adam's first step has the gradient's sign, which rounding decides where there is hardly any gradient.
    leaves = zip(jax.tree.leaves(on_one.params), jax.tree.leaves(on_two.params), strict=True)
    assert np.mean(np.concatenate([np.isclose(one, two, atol=1e-5).ravel() for one, two in leaves])) > 0.99


def test_a_step_is_a_pure_function_of_state_and_batch(case: Case, stepped: tuple[State, dict[str, float]]) -> None:
    batch = {name: column.copy() for name, column in case.batch.items()}
    state = jax.tree.map(np.copy, case.state)
    again, scalars = case.after(1)
    assert_identical(again, stepped[0])
    assert scalars == stepped[1]
    assert_identical(case.batch, batch)
    assert_identical(case.state, state)


def test_a_step_s_scalars_say_what_it_did(case: Case, stepped: tuple[State, dict[str, float]]) -> None:
    state, scalars = stepped
    gradients = jax.tree.map(lambda moment: moment / 0.1, moments(state)[0])
    assert scalars["norm/gradient"] == pytest.approx(norm(gradients), rel=1e-4)
    assert scalars["norm/parameter"] == pytest.approx(norm(state.params), rel=1e-4)
    updates = jax.tree.map(np.subtract, state.params, case.state.params)
    assert scalars["norm/update"] == pytest.approx(norm(updates), rel=1e-3)
    terms = {name: scalars[f"loss/{name}"] for name in ("total", "classification", "segmentation", "smooth")}
    total = terms["classification"] + 10 * terms["segmentation"] + 0.1 * terms["smooth"]
    assert terms["total"] == pytest.approx(total, rel=1e-4)
    assert 0 < scalars["bottleneck/active"] < 1 and scalars["bottleneck/dead_patches"] == 0
    assert state.step == 1


def test_a_state_that_was_fetched_is_not_overwritten_by_the_next_step(case: Case) -> None:
    replicas, _ = case.parallel(case.parallel.replicate(case.state), case.batch)
    fetched = case.parallel.unreplicate(replicas)
    kept = jax.tree.map(np.copy, fetched)
    replicas, _ = case.parallel(replicas, case.batch)
    jax.block_until_ready(replicas)
    assert_identical(fetched, kept)
    assert case.parallel.unreplicate(replicas).step == 2


def test_adam_s_first_step_goes_down_the_gradient_by_the_learning_rate(
    case: Case, stepped: tuple[State, dict[str, float]]
) -> None:
    state, _ = stepped
    trees = state.params, case.state.params, moments(state)[0]
    for new, old, moment in zip(*map(jax.tree.leaves, trees), strict=True):
        clear = np.abs(moment) > 1e-5
        assert clear.any()
        np.testing.assert_allclose((new - old)[clear], -1e-3 * np.sign(moment[clear]), rtol=1e-2)


def test_groups_of_patches_stay_with_their_image(case: Case) -> None:
    shares = case.parallel.shard(case.batch)
    assert (shares["image"] - shares["image"][:, :1]).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    for device in (0, 1):
        np.testing.assert_array_equal(shares["backbone"][device], case.batch["backbone"][2 * device : 2 * device + 2])
        np.testing.assert_array_equal(shares["patches"][device], case.batch["patches"][4 * device : 4 * device + 4])


def test_a_state_survives_its_way_to_the_devices_and_back(case: Case) -> None:
    replicas = case.parallel.replicate(case.state)
    for leaf in jax.tree.leaves(replicas):
        assert len(leaf) == len(leaf.devices()) == 2
    assert_identical(case.parallel.unreplicate(replicas), case.state)


def drawn(shapes: Any) -> Any:
    """Random variables, drawn faster than the network's own."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: (0.1 * random.standard_normal(leaf.shape)).astype(np.float32), shapes)


def test_the_frozen_resnet_is_bit_identical_after_training_and_owns_no_optimizer_state(
    tiny: Callable[..., ConfigDict],
) -> None:
    network = network_from_config(tiny(global_network="resnet18"))
    variables = drawn(jax.eval_shape(lambda key: initial_variables(network, key), jax.random.key(0)))
    features = np.random.default_rng(2).standard_normal((4, 512)).astype(np.float32)
    before = Case(network, variables, batch_of(4, features))
    after, scalars = before.after(3)
    assert np.isfinite(scalars["loss/total"]) and after.step == 3
    assert set(after.batch_stats) == {"resnet"}
    assert_identical(after.batch_stats, before.state.batch_stats)
    assert_identical(after.params["resnet"], before.state.params["resnet"])
    trained = {name: module for name, module in after.params.items() if name != "resnet"}
    for path, leaf in jax.tree.leaves_with_path(trained):
        assert (leaf != dict(jax.tree.leaves_with_path(before.state.params))[path]).any(), path
    for moment in moments(after):
        assert [leaf.shape for leaf in jax.tree.leaves(moment)] == [leaf.shape for leaf in jax.tree.leaves(trained)]
    everything = sum(leaf.size for leaf in jax.tree.leaves(after.optimizer_state) if leaf.ndim)
    assert everything == 2 * sum(leaf.size for leaf in jax.tree.leaves(trained))


class Corner(nn.Module):
    """Says of each patch, as the share of active pixels, how bright its corner is, and of its mask nothing."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, patches: Any, backbone: Any, image: Any, levels: Any, *, train: bool) -> Outputs:
        logits = self.param("bias", nn.initializers.zeros, (2,))
        label = jnp.broadcast_to(jax.nn.log_softmax(logits), (len(patches), 2))
        mask = jnp.broadcast_to(label[:, None, None], (len(patches), 64, 64, 2))
        return Outputs(label, mask, patches[:, 0, 0, 0] / 255)


@pytest.mark.parametrize("devices", [1, 2])
def test_augmentation_follows_from_key_step_and_position_in_the_batch(devices: int) -> None:
    batch = batch_of(4, np.zeros((4, 1), np.float32))
    variables = {"params": {"bias": np.zeros(2, np.float32)}}
    case = Case(Corner(), variables, batch, augment=True, devices=jax.local_devices()[:devices])
    assert case.parallel.devices == case.parallel.total == devices

    def expected(step: int) -> float:
        keys = example_keys(jax.random.fold_in(case.state.key, step), 8)
        turned = dihedral(keys, jnp.asarray(batch["patches"]), jnp.asarray(batch["masks"]))
        return float(turned["patches"][:, 0, 0, 0].mean() / 255)

    found = [case.after(steps)[1]["bottleneck/active"] for steps in (1, 2, 3)]
    assert found == pytest.approx([expected(step) for step in range(3)], rel=1e-5)
    assert len(set(found)) == 3
    resumed, _ = case.after(2)
    assert case.after(1, resumed)[1]["bottleneck/active"] == found[2]


def test_an_average_of_the_parameters_is_kept_and_localizes() -> None:
    """The first steps forget their past faster: after step n (from 0) the old average weighs n / (n + 50), at most the
    decay."""

    def pulling(variables: Any, batch: Any, key: Any, axis_name: str | None) -> Any:
        total = (variables["params"]["a"]["w"] * batch["x"].mean()).sum()
        return total, (variables["batch_stats"], {"loss/total": total})

    optimizer = make_optimizer(optax.constant_schedule(0.5), kind="sgd")
    start = {"params": {"a": {"w": np.array([1.0, -2.0], np.float32)}}}
    spec = StepSpec(pulling, optimizer, ema_decay=0.05)
    parallel = ParallelStep(spec, devices=jax.local_devices()[:2])
    state = initial_state(start, optimizer, 0, averaged=True)
    jax.tree.map(np.testing.assert_array_equal, state.variables, start)
    replicas, average = parallel.replicate(state), start["params"]["a"]["w"]
    for step in range(6):
        replicas, _ = parallel(replicas, {"x": np.ones(2, np.float32)})
        now = parallel.unreplicate(replicas)
        assert isinstance(now, AveragedState)
        decay = min(0.05, step / (step + 50))
        average = decay * average + (1 - decay) * now.params["a"]["w"]
        np.testing.assert_allclose(now.average["a"]["w"], average, rtol=1e-6)
        assert now.variables == {"params": now.average}
    assert np.abs(average - now.params["a"]["w"]).min() > 0.01
    without = initial_state(start, optimizer, 0)
    assert type(without) is State and without.variables == start  # as checkpoints of earlier versions hold it
    one = ParallelStep(StepSpec(pulling, optimizer), devices=jax.local_devices()[:1])
    replicas, _ = one(one.replicate(without), {"x": np.ones(1, np.float32)})
    assert type(replicas) is State


def test_no_more_steps_are_under_way_than_a_device_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 32 of them, devices of a busy CPU waited for one another for ever."""

    class Scalar:
        def addressable_data(self, device: int) -> Any:
            return self

    step, waited = ParallelStep(StepSpec(None, OPTIMIZER)), []  # type: ignore[arg-type]
    made = [Scalar() for _ in range(ParallelStep.AHEAD + 3)]
    results = iter(made)
    step._step = lambda *arguments: (None, {"loss": next(results)})
    monkeypatch.setattr(jax, "block_until_ready", lambda scalars: waited.append(scalars["loss"]))
    for _ in made:
        step(None, {})  # type: ignore[arg-type]
    assert waited == made[:3] and ParallelStep.AHEAD < 32
