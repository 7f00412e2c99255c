"""Training data of `sgt`: the traces of whole images on disk, one image after another.

Of an image with more than `WINDOW` blocks along a side, a part is stored. A training example is a crop of a fixed
number of blocks, drawn anew each time; only its rows are read.
"""

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float16, Float32, Int32, Int64, UInt8
from tqdm import tqdm

from splice_jax.data import Example
from splice_jax.data.feeding.tables import make_once, open_columns, wrap
from splice_jax.models.traces import bank
from splice_jax.models.traces.reading import read
from splice_jax.workers import in_order

WINDOW = 64
_SIDES = (48, WINDOW)
"""Sides that images are padded to, in blocks: each pair of them is a program to compile."""
FINE = 4
"""Side, in pixels, of the squares that colours and targets are stored for: half a block."""
COLUMNS = ("traces", "colours", "targets", "sizes", "medians", "spreads")
VERSION = 5
"""Raise it when the stored traces change."""
_THREADS = 2


@dataclass(frozen=True, eq=False)
class TraceTable:
    """k images with p blocks in total; per block, 2x2 squares of 4x4 pixels."""

    traces: Float16[np.ndarray, "p traces"]
    """As `bank.measure` gives them."""
    colours: UInt8[np.ndarray, "4*p 3"]
    """Mean RGB."""
    targets: UInt8[np.ndarray, "4*p"]
    """Spliced share, 255 for all."""
    sizes: Int32[np.ndarray, "k 2"]
    """Rows and columns of blocks."""
    medians: Float32[np.ndarray, "k traces"]
    spreads: Float32[np.ndarray, "k traces"]
    """As `bank.own_scale` gives them."""

    @functools.cached_property
    def starts(self) -> Int64[np.ndarray, " k+1"]:
        """Where each image starts, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.sizes.astype(np.int64).prod(axis=1))])

    def image(self, index: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
        """The memory-mapped traces [r, c, traces], colours [2r, 2c, 3] and targets [2r, 2c] of an image."""
        rows, columns = self.sizes[index].tolist()
        start, end = self.starts[index : index + 2].tolist()
        fine = slice(4 * start, 4 * end)
        return (
            self.traces[start:end].reshape(rows, columns, -1),
            self.colours[fine].reshape(2 * rows, 2 * columns, 3),
            self.targets[fine].reshape(2 * rows, 2 * columns),
        )


def build_table(examples: Sequence[Example], folder: Path) -> TraceTable:
    """Measures all images' traces into `folder` and memory-maps them; an existing table is reused.

    Args:
        examples: images and masks; read once.
        folder: where the table goes; its name should identify what it is made from.
    """
    make_once(folder, functools.partial(_write, examples))
    return TraceTable(**open_columns(folder, COLUMNS))


class _Entry(NamedTuple):
    traces: Float16[np.ndarray, "rows columns traces"]
    colours: UInt8[np.ndarray, "2*rows 2*columns 3"]
    target: UInt8[np.ndarray, "2*rows 2*columns"]
    median: Float32[np.ndarray, " traces"]
    spread: Float32[np.ndarray, " traces"]


def _write(examples: Sequence[Example], folder: Path) -> None:
    folder.mkdir(parents=True)
    sizes, medians, spreads = [], [], []
    raw = {name: folder / f"{name}.raw" for name in COLUMNS[:3]}
    with (
        open(raw["traces"], "wb") as traces,
        open(raw["colours"], "wb") as colours,
        open(raw["targets"], "wb") as targets,
    ):
        for entry in tqdm(_entries(examples), "measuring traces", len(examples), unit="image", disable=None):
            traces.write(entry.traces.tobytes())
            colours.write(entry.colours.tobytes())
            targets.write(entry.target.tobytes())
            sizes.append(entry.traces.shape[:2])
            medians.append(entry.median)
            spreads.append(entry.spread)
    total = sum(rows * columns for rows, columns in sizes)
    wrap(raw["traces"], (total, bank.COUNT), np.float16)
    wrap(raw["colours"], (4 * total, 3))
    wrap(raw["targets"], (4 * total,))
    np.save(folder / "sizes.npy", np.array(sizes, np.int32))
    np.save(folder / "medians.npy", np.array(medians, np.float32))
    np.save(folder / "spreads.npy", np.array(spreads, np.float32))


def _entries(examples: Sequence[Example]) -> Iterator[_Entry]:
    """In order; reading files and measuring both leave Python's lock, so threads share the cores."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from in_order(threads, lambda index: _entry(examples[index], index), range(len(examples)))


def _entry(example: Example, seed: int) -> _Entry:
    """An image of at least 8x8 pixels; `seed` chooses the part of a large one."""
    reading = read(example.image, example.encoded)
    rows, columns = (min(count, WINDOW) for count in reading.blocks)
    rng = np.random.default_rng(seed)
    top, left = (
        int(rng.integers(0, most - kept + 1)) for most, kept in zip(reading.blocks, (rows, columns), strict=True)
    )
    part = reading.window(top, left, *(next(side for side in _SIDES if side >= count) for count in (rows, columns)))
    traces, median, spread = _measured(part.image, part.planes, part.tables, np.array([rows, columns]))
    square = slice(top * 8, (top + rows) * 8), slice(left * 8, (left + columns) * 8)
    mask = reading.cut(example.mask)[square]
    fine = part.image[: rows * 8, : columns * 8].reshape(2 * rows, FINE, 2 * columns, FINE, 3).mean((1, 3))
    share = mask.reshape(2 * rows, FINE, 2 * columns, FINE).mean((1, 3))
    return _Entry(
        np.asarray(traces, np.float16)[:rows, :columns],
        np.rint(fine).astype(np.uint8),
        np.rint(255 * share).astype(np.uint8),
        np.asarray(median),
        np.asarray(spread),
    )


@jax.jit
def _measured(image: Any, planes: Any, tables: Any, size: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    traces = bank.measure(image, planes, tables, size)
    return traces, *bank.own_scale(traces, size)


class TraceCrop:
    """Crops the image of a given number at random, by whole blocks.

    Gives traces float16 [s, s, traces], colours uint8 [2s, 2s, 3], targets uint8 [2s, 2s], inside uint8 [s, s], medians
    and spreads float32 [traces].
    """

    def __init__(self, table: TraceTable, size: int) -> None:
        self._table, self._size = table, size

    def __call__(self, element: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """An image smaller than a crop fills its upper left; `inside` says what is image."""
        traces, colours, targets = self._table.image(element)
        rows, columns = traces.shape[:2]
        y, x = (int(rng.integers(0, max(side - self._size, 0) + 1)) for side in (rows, columns))
        missing = [(0, max(self._size - side, 0)) for side in (rows, columns)]
        window = slice(y, y + self._size), slice(x, x + self._size)
        fine = slice(2 * y, 2 * (y + self._size)), slice(2 * x, 2 * (x + self._size))
        twice = [(0, 2 * after) for _, after in missing]
        kept = np.ones((min(rows, self._size), min(columns, self._size)), np.uint8)
        return {
            "traces": np.pad(traces[window], [*missing, (0, 0)]),
            "colours": np.pad(colours[fine], [*twice, (0, 0)]),
            "targets": np.pad(targets[fine], twice),
            "inside": np.pad(kept, missing),
            "medians": self._table.medians[element],
            "spreads": self._table.spreads[element],
        }
