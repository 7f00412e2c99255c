"""The same numbers as PyTorch from the same weights: the twin of the released baseline in benchmarks/ is the reference.

Differences of gradients and statistics are relative to the largest value of each tensor. Where two pixels under the
max-pooling are equal up to rounding, rounding decides which gets the gradient: of these inputs none are.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splice_jax.losses import semi_global_loss
from splice_jax.methods.trained.semi_global.method import FAMILY
from splice_jax.methods.trained.semi_global.training import loss as batch_loss
from splice_jax.models.resnet import ResNet18
from splice_jax.models.semi_global import SemiGlobalNetwork
from splice_jax.runs.builtin import baseline as configuration
from splice_jax.runs.load import network_from_config
from splice_jax.training.optimizer import make_optimizer, step_schedule
from splice_jax.training.step import ParallelStep, State, StepSpec, initial_state
from splice_jax.weights import baseline

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make torch): nothing to compare with")
from benchmarks import pytorch_baseline as reference  # noqa: E402

RANDOM = np.random.default_rng(0)
N = 2
BATCH = {
    "patches": RANDOM.integers(0, 256, (N, 64, 64, 3), np.uint8),
    "masks": RANDOM.integers(0, 2, (N, 64, 64), np.uint8),
    "labels": np.array([0, 1], np.int32),
    "thumbnails": RANDOM.integers(0, 256, (N, 224, 224, 3), np.uint8),
    "image": np.arange(N, dtype=np.int32),
}
LAYERS = {"jcs": 2, "sgn": 1, "res_sgn": 1}  # of the LSTM, of which three are no other code than two
CONFIG = configuration.get_config()


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for one another waste the cores that other tests use."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Pair(NamedTuple):
    """The same weights in PyTorch and in Flax."""

    twin: Any
    network: SemiGlobalNetwork
    variables: dict[str, Any]


def pair(arch: str, *, batch_norm: bool = True) -> Pair:
    """Drawn as the baseline starts; with `batch_norm`, running averages unlike zero and one."""
    torch.manual_seed(0)
    twin = reference.Baseline(arch, LAYERS[arch])
    for module in twin.modules():
        if batch_norm and isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    network = network_of(arch)
    return Pair(twin, network, flax_variables(twin, network))


def network_of(arch: str) -> SemiGlobalNetwork:
    config = configuration.get_config()
    config.method = "bappy" if arch == "jcs" else "sgn"
    config.global_network, config.num_layers = baseline.ARCHITECTURES[arch], LAYERS[arch]
    return network_from_config(config)


def flax_variables(twin: Any, network: SemiGlobalNetwork) -> dict[str, Any]:
    state = {name: tensor.numpy().copy() for name, tensor in twin.state_dict().items()}  # PyTorch writes in place
    return baseline.to_variables(state, twin.arch, FAMILY.variable_shapes(network), source="the twin")


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float) -> None:
    """Within `tolerance` of the largest value of each tensor; names every one that is not."""
    differences = {
        name: np.abs(found[name] - array).max() / max(np.abs(array).max(), 1e-30) for name, array in expected.items()
    }
    assert {name: value for name, value in differences.items() if not value <= tolerance} == {}


def assert_moved_alike(
    before: dict[str, np.ndarray], found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float
) -> None:
    """How far training has moved each tensor, and where to, within `tolerance` of the way; names every one that is not.

    By the root of the mean square: one weight that moves the wrong way in a tensor of n is 2 / sqrt(n) apart.
    """
    apart = {name: np.linalg.norm(found[name] - array) for name, array in expected.items()}
    way = {name: np.linalg.norm(array - before[name]) for name, array in expected.items()}
    assert all(way.values())
    assert {name: apart[name] / way[name] for name in apart if not apart[name] <= tolerance * way[name]} == {}


def twin_outputs(twin: Any, batch: dict[str, np.ndarray]) -> tuple[Any, Any]:
    return twin(reference.to_input(batch["patches"]), reference.to_input(batch["thumbnails"][batch["image"]]))


def assert_outputs(outputs: Any, label: Any, mask: Any) -> None:
    """Log-probabilities within 2e-5."""
    np.testing.assert_allclose(outputs.label, label.detach().numpy(), rtol=0, atol=2e-5)
    np.testing.assert_allclose(outputs.mask, mask.detach().numpy().transpose(0, 2, 3, 1), rtol=0, atol=2e-5)


@pytest.mark.parametrize("arch", reference.ARCHITECTURES)
def test_log_probabilities_loss_and_gradients(arch: str) -> None:
    twin, network, variables = pair(arch)
    label, mask = twin_outputs(twin.eval(), BATCH)
    total, _, _ = reference.loss_terms(label, mask, torch.tensor(BATCH["labels"]), torch.tensor(BATCH["masks"]))
    total.backward()

    def loss(params: Any) -> Any:
        inputs = (BATCH[name] for name in ("patches", "thumbnails", "image"))
        outputs: Any = network.apply(variables | {"params": params}, *inputs)
        targets = jnp.asarray(BATCH["labels"]), jnp.asarray(BATCH["masks"])
        terms = {name: CONFIG.loss[name] for name in ("class_weights", "beta", "smooth", "normalization")}
        return semi_global_loss(outputs.label, outputs.mask, *targets, **terms).total, outputs

    (found, outputs), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    assert_outputs(outputs, label, mask)
    assert float(found) == pytest.approx(total.item(), rel=1e-6)
    trained = {name: value.grad.numpy() for name, value in twin.named_parameters() if value.grad is not None}
    assert list(trained) == baseline.trained_names(arch, LAYERS[arch])
    assert_close(baseline.from_variables(variables | {"params": gradients}, arch), trained, 1e-4)


def test_log_probabilities_of_the_networks_called_eagerly() -> None:
    twin, network, variables = pair("jcs")
    one = {name: column[:1] for name, column in BATCH.items()}
    arguments = [jnp.asarray(one[name]) for name in ("patches", "thumbnails", "image")]
    assert_outputs(network.apply(variables, *arguments), *twin_outputs(twin.eval(), one))


@pytest.mark.parametrize("train", [False, True])
def test_pooled_features_and_running_averages_of_the_resnet(train: bool) -> None:
    twin, _, variables = pair("res_sgn")
    images = BATCH["thumbnails"][:2, :96, :64]
    features = twin.global_network.global_network.train(train)
    expected = features(reference.to_input(images))[:, :, 0, 0].detach().numpy()
    resnet = {collection: variables[collection]["resnet"] for collection in variables}
    apply = jax.jit(functools.partial(ResNet18().apply, train=train, mutable=["batch_stats"]))
    found, updates = apply(resnet, images.astype(np.float32) / 255)
    assert_close({"features": found}, {"features": expected}, 1e-4)
    moved = {collection: variables[collection] | {"resnet": updates.get(collection)} for collection in ("batch_stats",)}
    after = {name: tensor.numpy() for name, tensor in twin.state_dict().items() if "running" in name}
    assert_close(baseline.from_variables(variables | moved, "res_sgn"), after, 1e-4)


def steps(arch: str, count: int) -> tuple[Pair, State, list[float], list[float]]:
    """Steps of both from the same weights on the same batches, in the configuration `baseline`."""
    both = pair(arch, batch_norm=False)
    twin, network, variables = both
    optimizer = make_optimizer(
        step_schedule(CONFIG.learning_rate, (), 1.0, 0), clip_norm=CONFIG.clip_norm, frozen=FAMILY.frozen
    )
    parallel = ParallelStep(
        StepSpec(batch_loss(network, CONFIG.loss, augment=CONFIG.augment), optimizer, FAMILY.frozen)
    )
    state = parallel.replicate(initial_state(variables, optimizer, 0))
    adam = reference.adam(twin.train(), CONFIG.learning_rate)
    theirs, ours = [], []
    for step in range(count):
        batch = {name: column if name == "image" else np.roll(column, step, 0) for name, column in BATCH.items()}
        theirs.append(reference.train_step(twin, adam, batch))
        of_images = {"backbone": batch.pop("thumbnails"), "residual_levels": np.ones(N, np.float32)}
        state, scalars = parallel(state, batch | of_images)
        ours.append(scalars["loss/total"].item())
    return both, parallel.unreplicate(state), ours, theirs


@pytest.mark.parametrize(("arch", "count"), [("sgn", 20), ("res_sgn", 2)])
def test_training_takes_the_baseline_s_steps(arch: str, count: int) -> None:
    """The largest tensor has 802,816 weights: a single one that goes the wrong way is 2e-3 apart.

    Measured: 6e-5 for parameters, 3e-6 for running averages. After some thirty steps rounding decides which of two
    pixels under the max-pooling is the larger, and the ways part.
    """
    (twin, _, variables), state, ours, theirs = steps(arch, count)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert theirs[-1] < 0.99 * theirs[0]
    found = baseline.from_variables(state.variables, arch)
    names = baseline.trained_names(arch, LAYERS[arch])
    before = baseline.from_variables(variables, arch)
    after = {name: tensor.numpy().copy() for name, tensor in twin.state_dict().items()}
    assert_moved_alike(before, found, {name: after[name] for name in names}, 1e-3)
    # Running averages move, the frozen ResNet's too, and nothing else of it.
    assert_moved_alike(before, found, {name: array for name, array in after.items() if "running" in name}, 1e-4)
    for name in set(found) - set(names):
        assert np.array_equal(found[name], before[name]) == ("running" not in name), name


def test_the_twin_itself_gives_the_same_once_per_image_as_once_per_patch() -> None:
    torch.manual_seed(0)
    twin = reference.Baseline("sgn", 1)
    image = RANDOM.integers(0, 256, (70, 140, 3), np.uint8)
    published, careful = (reference.localize(twin, image, once_per_image=once) for once in (False, True))
    assert published[0].shape == (64, 128) and published[1].shape == (1, 2)
    for one, other in zip(published, careful, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
