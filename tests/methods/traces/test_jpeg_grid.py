"""`blk` and `dct`: the grid's lines and the table's steps, by construction and in spliced scenes."""

import numpy as np
import pytest

import splice_jax
from splice_jax.jpeg import BLOCK, STANDARD_TABLE, block_dct
from splice_jax.methods.traces.double_jpeg import find_period
from splice_jax.methods.traces.jpeg_grid import column_lines, grid_origin, stray_columns
from splice_jax.methods.traces.trace import luma


def tiles(origin: int) -> np.ndarray:
    """Blocks of slightly different brightness, in columns that begin at `origin`, with a little noise."""
    generator = np.random.default_rng(origin)
    steps = generator.normal(0, 6, 40)[(np.arange(160) - origin) // BLOCK]
    return (128 + steps + generator.normal(0, 0.3, (96, 160))).astype(np.float32)


@pytest.mark.parametrize("origin", range(8))
def test_the_grid_begins_where_blocks_do(origin):
    assert grid_origin(column_lines(tiles(origin))) == origin


def test_lines_stand_on_both_sides_of_a_border():
    lines = column_lines(tiles(0))[:, 40:120].reshape(12, 10, 8).mean(axis=(0, 1))
    assert lines[[0, 7]].min() > 10 * np.abs(lines[1:7]).max()


def test_columns_on_another_grid_are_stray():
    plane = tiles(0)
    plane[:, 64:128] = tiles(3)[:, 64:128]
    stray = stray_columns(plane)
    assert stray[:, 76:116].min() > stray[:, :52].max()


@pytest.mark.parametrize("last", [None, 95])
def test_blk_finds_a_patch_pasted_off_the_grid(trial, compressed, last):
    areas = []
    for seed in range(3):
        case = trial(seed)
        image = case.spliced(compressed(case.host, 70), compressed(case.donor, 70, (3, 5)))
        areas.append(
            case.area(splice_jax.localizer("blk")(image if last is None else compressed(image, last)).probability)
        )
    assert min(areas) > 0.9, areas


def test_blk_finds_it_in_a_cropped_host(trial, compressed):
    case = trial(0)
    image = case.spliced(compressed(case.host, 70, (2, 6)), compressed(case.donor, 70))
    assert case.area(splice_jax.localizer("blk")(image).probability) > 0.9


@pytest.mark.parametrize("name", ["blk", "dct"])
def test_where_all_is_on_one_grid_nothing_is_found(trial, compressed, name):
    """Over scenes, for texture looks like a trace to both."""
    cases = [trial(seed) for seed in range(8)]
    areas = [case.area(splice_jax.localizer(name)(compressed(case.spliced(), 80)).probability) for case in cases]
    assert abs(np.mean(areas) - 0.5) < 0.1, areas


def test_steps_are_read_off_histograms(trial, compressed):
    coefficients = block_dct(luma(compressed(trial(0).host, 60)))
    for place in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0)):
        step = (int(STANDARD_TABLE[place]) * 80 + 50) // 100
        found = find_period(np.rint(coefficients[:, :, *place]).astype(int), 40.0, tested=False)
        assert found == pytest.approx(step, rel=0.05)


@pytest.mark.parametrize("last", [None, 90])
def test_dct_finds_what_the_host_s_table_did_not_quantise(trial, compressed, last):
    areas = []
    for seed in range(3):
        case = trial(seed)
        image = case.spliced(host=compressed(case.host, 60))
        areas.append(
            case.area(splice_jax.localizer("dct")(image if last is None else compressed(image, last)).probability)
        )
    assert min(areas) > 0.9, areas
