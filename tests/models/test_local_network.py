import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from scipy.signal import correlate2d

from splice_jax.models.kernels.initializers import kaiming_normal
from splice_jax.models.local_network import (
    INPUT_NORMALIZATIONS,
    LEAK,
    LocalNetwork,
    MaskHead,
    from_tiles,
    normalize,
    to_blocks,
)

PATCHES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def drawn_kernel(*shape: int, seed: int = 0) -> np.ndarray:
    return drawn(*shape, seed=seed) * np.float32(2 / np.prod(shape[:-1])) ** 0.5


def correlated(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    def output(kernels: np.ndarray) -> np.ndarray:
        pairs = zip(image, kernels, strict=True)
        return np.sum([correlate2d(channel, kernel, mode="same") for channel, kernel in pairs], axis=0)

    return np.array([output(kernels) for kernels in kernel.transpose(3, 2, 0, 1)])


def test_normalizations_of_one_pixel_by_hand() -> None:
    patch = np.zeros((2, 2, 3), np.uint8)
    patch[0, 0] = 255, 51, 102
    corners = {
        "unit": [1, 0.2, 0.4],
        "imagenet": [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.4 - 0.406) / 0.225],
        "patch": [0.75, 0.15, 0.3],
        "residual": [16 * (1 - 4 / 9), 16 * 0.2 * 5 / 9, 16 * 0.4 * 5 / 9],
        "relative": [50 * (1 - 4 / 9), 50 * 0.2 * 5 / 9, 50 * 0.4 * 5 / 9],
    }
    assert set(corners) == set(INPUT_NORMALIZATIONS)
    for how, expected in corners.items():
        np.testing.assert_allclose(normalize(jnp.asarray(patch), how, 0.01)[0, 0], expected, rtol=1e-5)


def test_only_the_patch_normalization_depends_on_the_whole_patch() -> None:
    changed = PATCHES[0].copy()
    changed[63, 63] ^= 255
    for how in INPUT_NORMALIZATIONS:
        before, after = (normalize(jnp.asarray(patch), how, 0.01)[:32] for patch in (PATCHES[0], changed))
        assert np.array_equal(before, after) == (how != "patch")


def test_the_relative_input_needs_the_images_level() -> None:
    with pytest.raises(ValueError, match="residual levels"):
        normalize(jnp.asarray(PATCHES[0]), "relative")


def test_each_patch_is_divided_by_the_level_of_its_own_image() -> None:
    network = LocalNetwork(64, 1, "relative")
    levels = np.array([0.01, 0.02], np.float32)
    variables = jax.jit(network.init)(jax.random.key(0), PATCHES[:2], levels)
    both = jax.jit(network.apply)(variables, PATCHES[:2], levels).sequence
    for number in (0, 1):
        alone = jax.jit(network.apply)(variables, PATCHES[number : number + 1], levels[number : number + 1]).sequence
        np.testing.assert_allclose(both[:, number], alone[:, 0], atol=1e-5)
    assert not np.allclose(both, jax.jit(network.apply)(variables, PATCHES[:2], levels[::-1]).sequence, atol=1e-3)


def test_the_residual_is_what_scipys_mean_filter_leaves() -> None:
    image = PATCHES[0, :9, :12]
    pixels = image / 255
    expected = 16 * (pixels - uniform_filter(pixels, (3, 3, 1), mode="nearest"))
    np.testing.assert_allclose(normalize(jnp.asarray(image), "residual"), expected, atol=1e-5)


def test_the_residual_of_a_constant_and_inside_a_ramp_is_zero() -> None:
    constant = np.full((8, 9, 3), 77, np.uint8)
    np.testing.assert_allclose(normalize(jnp.asarray(constant), "residual"), 0, atol=1e-5)
    rows, columns = np.indices((8, 9))
    ramp = np.repeat((10 * rows + 7 * columns)[..., None], 3, 2).astype(np.uint8)
    residual = np.asarray(normalize(jnp.asarray(ramp), "residual"))
    np.testing.assert_allclose(residual[1:-1, 1:-1], 0, atol=1e-5)
    assert np.all(np.abs(residual[0]) > 0.05)


@pytest.mark.parametrize(("order", "step"), [("row", 8 * 5 + 3), ("column", 8 * 3 + 5)])
def test_a_marked_pixel_lands_in_its_block(order: str, step: int) -> None:
    features = np.zeros((2, 64, 64), np.float32)
    features[1, 8 * 5 + 1, 8 * 3 + 6] = 1
    blocks = np.asarray(to_blocks(jnp.asarray(features), order))
    assert blocks.shape == (64, 2, 64)
    assert np.argwhere(blocks).tolist() == [[step, 1, 8 * 1 + 6]]


@pytest.mark.parametrize("tile", [8, 16])
def test_a_marked_value_lands_in_its_tile(tile: int) -> None:
    sequence = np.zeros((64, 2, tile**2), np.float32)
    sequence[8 * 5 + 3, 1, tile * 2 + 7] = 1
    tiles = np.asarray(from_tiles(jnp.asarray(sequence)))
    assert tiles.shape == (2, 8 * tile, 8 * tile)
    assert np.argwhere(tiles).tolist() == [[1, tile * 5 + 2, tile * 3 + 7]]


def test_row_order_decodes_a_block_where_it_was_and_column_order_where_the_baseline_does() -> None:
    features = drawn(2, 64, 64)
    np.testing.assert_array_equal(from_tiles(to_blocks(jnp.asarray(features), "row")), features)
    transposed = from_tiles(to_blocks(jnp.asarray(features), "column"))
    for row, column in ((0, 0), (5, 3), (7, 1)):
        here, there = (np.s_[:, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8] for r, c in ((row, column), (column, row)))
        np.testing.assert_array_equal(transposed[there], features[here])


@pytest.mark.parametrize(("activation", "order"), [("relu", "column"), ("leaky_relu", "row")])
def test_encoder_equals_scipy(activation: str, order: str) -> None:
    first, second = drawn_kernel(5, 5, 3, 16, seed=1), drawn_kernel(5, 5, 16, 1, seed=2)
    network = LocalNetwork(64, num_layers=0, input_normalization="patch", activation=activation, block_order=order)
    parameters = {"params": {"conv1": first, "conv2": second}}
    sequence, active = jax.jit(network.apply)(parameters, PATCHES)
    slope = 0 if activation == "relu" else LEAK

    for number, patch in enumerate(PATCHES):
        hidden = correlated((patch / 255 - (patch / 255).mean((0, 1))).transpose(2, 0, 1), first)
        bottleneck = correlated(np.where(hidden > 0, hidden, slope * hidden), second)[0]
        blocks = np.where(bottleneck > 0, bottleneck, slope * bottleneck).reshape(8, 8, 8, 8).swapaxes(1, 2)
        expected = blocks if order == "row" else blocks.swapaxes(0, 1)
        np.testing.assert_allclose(sequence[:, number], expected.reshape(64, 64), atol=1e-4)
        assert active[number] == pytest.approx((bottleneck > 0).mean(), abs=2 / 4096)
        assert 0.05 < active[number] < 0.95


def test_the_sequence_changes_from_the_first_changed_block_on() -> None:
    network = LocalNetwork(4, 1, input_normalization="unit")
    shapes = jax.eval_shape(network.init, jax.random.key(0), PATCHES)
    variables = jax.tree.map(lambda leaf: drawn_kernel(*leaf.shape), shapes)
    step, changed = 8 * 5 + 3, PATCHES.copy()
    changed[1, 8 * 5 + 4, 8 * 3 + 4] ^= 255  # two convolutions reach 4 pixels: block (5, 3) and later ones
    apply = jax.jit(network.apply)
    before, after = (apply(variables, patches).sequence for patches in (PATCHES, changed))
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    np.testing.assert_array_equal(before[:step, 1], after[:step, 1])
    assert np.all(before[step, 1] != after[step, 1])


@pytest.mark.parametrize(("activation", "slope"), [("relu", 0), ("leaky_relu", LEAK)])
def test_mask_head_of_the_papers_size_equals_scipy(activation: str, slope: float) -> None:
    channels = [(1, 32), (32, 2), (2, 2)]
    kernels = [drawn_kernel(5, 5, *pair, seed=seed) for seed, pair in enumerate(channels, 1)]
    sequence = drawn(64, 2, 256)
    parameters = {"params": {f"conv{number}": kernel for number, kernel in enumerate(kernels, 1)}}
    found = jax.jit(MaskHead(activation).apply)(parameters, sequence)
    assert found.shape == (2, 64, 64, 2)

    tiles = sequence[:, 1].reshape(8, 8, 16, 16).swapaxes(1, 2).reshape(1, 128, 128)
    cells = np.maximum(correlated(tiles, kernels[0]), 0).reshape(32, 64, 2, 64, 2)
    features = correlated(cells.max((2, 4)), kernels[1])
    logits = correlated(np.where(features > 0, features, slope * features), kernels[2])
    expected = logits - np.log(np.exp(logits).sum(0))
    np.testing.assert_allclose(found[1], expected.transpose(1, 2, 0), atol=1e-4)


def test_mask_head_of_hidden_size_64_enlarges_its_map() -> None:
    # Identity kernels carry the mean of each step to the logits: a step's block of the mask must show it.
    middle = np.zeros((5, 5, 1, 1), np.float32)
    middle[2, 2] = 1
    kernels = {
        "conv1": middle * np.ones(32, np.float32),
        "conv2": middle * np.ones((32, 2), np.float32) / 32,
        "conv3": middle * np.array([[0, 0], [0, 1]], np.float32),
    }
    values = np.arange(64, dtype=np.float32)
    sequence = np.repeat(values[:, None, None], 64, 2) / 64
    spliced = jax.jit(MaskHead("relu").apply)({"params": kernels}, sequence)[0, ..., 1]
    assert spliced.shape == (64, 64)
    logits = values.reshape(8, 8) / 64
    expected = -np.log1p(np.exp(-logits))
    np.testing.assert_allclose(spliced[3::8, 4::8], expected, atol=1e-5)


def test_kaiming_initialisation_has_the_variance_of_two_over_fan_in() -> None:
    values = np.asarray(kaiming_normal(jax.random.key(0), (5, 5, 16, 400), jnp.float32))
    assert values.std() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert abs(values.mean()) < 0.001
