import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from scipy import special

from splice_jax.models import semi_global_traces
from splice_jax.models.semi_global_traces import Logits, SemiGlobalAttention, SemiGlobalTraces, pool_side
from splice_jax.models.traces.bank import COUNT

TRACES = 5
SMALL = SemiGlobalTraces(8, 16, 1, 2)
RANDOM = np.random.default_rng(0)


def shapes(network: SemiGlobalTraces, traces: int) -> Any:
    inputs = np.zeros((1, 4, 4, traces), np.float32), np.zeros((1, 8, 8, 3), np.float32), np.ones((1, 4, 4), np.float32)
    return jax.eval_shape(network.init, jax.random.key(0), *inputs)["params"]


def drawn(like: Any) -> Any:
    """Generic values that keep the signal's size, for no compilation's sake."""
    random = np.random.default_rng(1)

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        if path[-1].key == "scale":
            return random.uniform(0.5, 1.5, shape.shape).astype(np.float32)
        spread = np.sqrt(2 / np.prod(shape.shape[:-1])) if len(shape.shape) > 1 else 0.1
        return (spread * random.standard_normal(shape.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, like)


PARAMS = drawn(shapes(SMALL, TRACES))
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def compiled() -> Callable[..., Logits]:
    return jax.jit(lambda params, *inputs: SMALL.apply({"params": params}, *inputs))


@pytest.fixture(scope="module")
def network(compiled: Callable) -> Callable[..., Logits]:
    """One program for all inputs of this file: two images of 16x20 blocks."""
    return lambda inputs, params=PARAMS: jax.tree.map(np.asarray, compiled(params, *inputs))


def padded(sizes: list[tuple[int, int]], fill: float, seed: int = 2) -> Inputs:
    """Images of these sizes, padded with something."""
    random = np.random.default_rng(seed)
    traces = np.full((len(sizes), 16, 20, TRACES), fill, np.float32)
    colours, inside = np.full((len(sizes), 32, 40, 3), fill, np.float32), np.zeros((len(sizes), 16, 20), np.float32)
    for number, (rows, columns) in enumerate(sizes):
        traces[number, :rows, :columns] = random.normal(0, 1, (rows, columns, TRACES))
        colours[number, : 2 * rows, : 2 * columns] = random.uniform(-1, 1, (2 * rows, 2 * columns, 3))
        inside[number, :rows, :columns] = 1
    return traces, colours, inside


WHOLE = padded([(16, 20), (16, 20)], 0)


def test_the_network_s_size() -> None:
    counts = {
        name: sum(leaf.size for leaf in jax.tree.leaves(module))
        for name, module in shapes(SemiGlobalTraces(), 2 * COUNT).items()
    }
    residual = 2 * 2 * 48 + 2 * (9 * 48 * 48 + 48)
    assert counts["enter"] == 2 * COUNT * 48 + 48 and counts["local"] == counts["judge"] == residual
    assert counts["down"] == 9 * 48 * 96 + 96
    deep = 2 * 2 * 96 + 4 * (96 * 96 + 96) + (96 * 288 + 288) + (288 * 96 + 96)
    assert [counts[f"attention{index}"] for index in range(3)] == [deep] * 3
    assert counts["image"] == 49 and counts["pool"] == (2 * 48 + 4) * 48 + 48


def test_there_is_a_logit_per_block_per_quarter_and_per_image(network: Callable) -> None:
    found = network(WHOLE)
    assert found.blocks.shape == (2, 16, 20) and found.fine.shape == (2, 32, 40) and found.image.shape == (2,)
    assert all(np.isfinite(each).all() and np.ptp(each) > 0.1 for each in found)


@pytest.mark.parametrize("size", [(16, 14), (9, 12), (7, 5), (1, 1)])
def test_padding_changes_no_logit(network: Callable, size: tuple[int, int]) -> None:
    rows, columns = size
    found, other = (network(padded([size, (16, 20)], fill)) for fill in (0.0, 5.0))
    for one, two in ((found.blocks, other.blocks), (found.fine[:, ::2, ::2], other.fine[:, ::2, ::2])):
        np.testing.assert_allclose(one[0, :rows, :columns], two[0, :rows, :columns], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.image, other.image, rtol=1e-4, atol=1e-5)


def test_an_image_by_itself_has_the_logits_that_it_has_padded(network: Callable) -> None:
    inputs = padded([(10, 12), (16, 20)], 3.0)
    alone = inputs[0][:1, :10, :12], inputs[1][:1, :20, :24], inputs[2][:1, :10, :12]
    found: Any = jax.jit(SMALL.apply)({"params": PARAMS}, *alone)
    expected = network(inputs)
    np.testing.assert_allclose(found.blocks[0], expected.blocks[0, :10, :12], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.fine[0], expected.fine[0, :20, :24], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.image[0], expected.image[0], rtol=1e-4)


def test_every_block_sees_the_whole_image_and_no_other_image(network: Callable) -> None:
    changed = WHOLE[0].copy()
    changed[0, 0, 0] += 3
    before, after = network(WHOLE), network((changed, *WHOLE[1:]))
    assert (before.blocks[0] != after.blocks[0]).mean() > 0.95
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[1], two[1])


def test_colours_move_the_fine_logits_near_them_and_nothing_else(network: Callable) -> None:
    changed = WHOLE[1].copy()
    changed[0, 20, 20] += 1
    before, after = network(WHOLE), network((WHOLE[0], changed, WHOLE[2]))
    np.testing.assert_array_equal(before.blocks, after.blocks)
    np.testing.assert_array_equal(before.image, after.image)
    moved = np.argwhere(before.fine != after.fine)
    assert len(moved) and (np.abs(moved - [0, 20, 20]).max(0) <= [0, 3, 3]).all()  # three convolutions


def test_without_corrections_every_quarter_is_its_block(network: Callable) -> None:
    params = PARAMS | {"correction": jax.tree.map(np.zeros_like, PARAMS["correction"])}
    found = network(WHOLE, params)
    np.testing.assert_array_equal(found.fine, found.blocks.repeat(2, 1).repeat(2, 2))


def test_places_are_pooled_by_a_power_of_two_to_few() -> None:
    assert [pool_side(*size) for size in ((8, 8), (72, 72), (73, 72), (144, 144), (216, 288))] == [2, 2, 4, 4, 8]
    for rows, columns in ((24, 24), (48, 48), (72, 72), (72, 144), (216, 288)):
        side = pool_side(rows, columns)
        assert -(-rows // side) * -(-columns // side) <= semi_global_traces.MOST_KEYS


def by_numpy(query: np.ndarray, key: np.ndarray, value: np.ndarray, known: np.ndarray) -> np.ndarray:
    found = np.zeros(query.shape)
    for image in range(len(query)):
        for head in range(query.shape[2]):
            scores = query[image, :, head].astype(float) @ key[image, known[image], head].T / np.sqrt(query.shape[-1])
            found[image, :, head] = special.softmax(scores, axis=1) @ value[image, known[image], head]
    return found


@pytest.mark.parametrize("at_a_time", [4096, 7, 8])
def test_attention_is_a_softmax_over_what_is_known_some_positions_at_a_time_or_all(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(semi_global_traces, "QUERIES_AT_A_TIME", at_a_time)
    query, key, value = (RANDOM.normal(0, 2, (2, count, 2, 4)).astype(np.float32) for count in (24, 10, 10))
    known = RANDOM.random((2, 10)) < 0.6
    found = jax.jit(semi_global_traces._attend)(query, key, value, known)
    np.testing.assert_allclose(found, by_numpy(query, key, value, known), rtol=1e-4, atol=1e-5)


def test_chunked_attention_is_the_same_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = SemiGlobalAttention(2)
    values = RANDOM.normal(0, 1, (2, 6, 8, 16)).astype(np.float32)
    own = np.ones((2, 6, 8, 1), np.float32)
    own[1, 4:] = 0
    params = drawn(jax.eval_shape(attention.init, jax.random.key(0), values, own)["params"])
    compute = functools.partial(attention.apply, {"params": params})
    whole: Any = jax.jit(compute)(values, own)
    monkeypatch.setattr(semi_global_traces, "QUERIES_AT_A_TIME", 20)
    chunked: Any = jax.jit(functools.partial(compute))(values, own)
    np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("side", [2, 4])
def test_pooling_averages_what_is_inside(transform: Callable, side: int) -> None:
    own = np.ones((1, 6, 9, 1), np.float32)
    own[:, 3:], own[:, :, 5:] = 0, 0
    values = RANDOM.normal(0, 1, (1, 6, 9, 2)).astype(np.float32) * own
    means, known = transform(lambda values, own: semi_global_traces._pooled(values, side, own))(values, own)
    for y in range(0, 6, side):
        for x in range(0, 9, side):
            part = values[0, y : min(y + side, 3), x : min(x + side, 5)].reshape(-1, 2)
            assert known[0, y // side, x // side, 0] == bool(len(part))
            if len(part):
                np.testing.assert_allclose(means[0, y // side, x // side], part.mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])
def test_soft_maxima_go_from_the_mean_to_the_maximum(transform: Callable) -> None:
    soft_maximum: Any = semi_global_traces._soft_maximum
    values, inside = RANDOM.normal(0, 2, (2, 5, 6)).astype(np.float32), np.ones((2, 5, 6), np.float32)
    inside[1, 2:] = 0
    for sharpness in (0.01, 1.0, 50.0):
        compute = transform(lambda *arrays, sharpness=sharpness: soft_maximum(*arrays, sharpness))
        found = compute(values, inside)
        for number in (0, 1):
            own = values[number][inside[number] > 0].astype(float)
            expected = np.log(np.exp(sharpness * own).mean()) / sharpness
            assert found[number] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert found[1] == pytest.approx(values[1, :2].max(), abs=0.1)
