"""Object-like shapes to cut from donors: unions of adjacent regions of a segmentation, or drawn shapes."""

import numpy as np
from jaxtyping import Bool, Integer
from PIL import Image as Pillow
from PIL import ImageDraw

Mask = Bool[np.ndarray, "height width"]
Regions = Integer[np.ndarray, "height width"]

AREA = (0.02, 0.6)
TRIES = 6


def region_object(regions: Regions, area: float, rng: np.random.Generator, *, foreground: bool = False) -> Mask | None:
    """A union of adjacent regions that covers about the share `area` of the image, or None if none is found.

    A random region is grown by random neighbours; of a few tries, the one closest to `area` is used if it is within a
    factor of 2 and covers 2 to 60 % of the image. With `foreground`, regions that touch the upper, left or right border
    of the photograph are excluded: sky, walls and ground are what objects stand in front of.
    """
    numbered = _renumbered(regions)
    areas = np.bincount(numbered.ravel()) / regions.size
    allowed = np.full(len(areas), True)
    if foreground:
        allowed[np.concatenate([numbered[0], numbered[:, 0], numbered[:, -1]])] = False
    if not allowed.any():
        return None
    neighbours = _neighbours(numbered, len(areas)) & allowed
    grown = [_grow(areas, neighbours, area, int(rng.choice(np.flatnonzero(allowed))), rng) for _ in range(TRIES)]
    best = min(grown, key=lambda chosen: abs(np.log(areas[chosen].sum() / area)))
    covered = areas[best].sum()
    if not AREA[0] <= covered <= AREA[1] or not 0.5 <= covered / area <= 2:
        return None
    return np.isin(numbered, best)


def _renumbered(regions: Regions) -> Regions:
    """Renumbers regions as 0, 1, 2 ...; by table look-up, since sorting all pixels would take longer than the rest."""
    present = np.bincount(regions.ravel()) > 0
    return (np.cumsum(present) - 1)[regions]


def _neighbours(numbered: Regions, count: int) -> Bool[np.ndarray, "regions regions"]:
    above = numbered[1:] * count + numbered[:-1]
    beside = numbered[:, 1:] * count + numbered[:, :-1]
    pairs = np.bincount(np.concatenate([above.ravel(), beside.ravel()]), minlength=count**2).reshape(count, count) > 0
    return (pairs | pairs.T) & ~np.eye(count, dtype=bool)


def _grow(
    areas: np.ndarray,
    neighbours: Bool[np.ndarray, "regions regions"],
    area: float,
    first: int,
    rng: np.random.Generator,
) -> list[int]:
    chosen = [first]
    while areas[chosen].sum() < 0.8 * area:
        around = np.array(neighbours[chosen].any(axis=0))
        around[chosen] = False
        fitting = np.flatnonzero(around & (areas[chosen].sum() + areas < 1.5 * area))
        if not fitting.size:
            break
        chosen.append(int(rng.choice(fitting)))
    return chosen


def drawn_object(height: int, width: int, area: float, rng: np.random.Generator) -> Mask:
    """A smooth blob or polygon covering about the share `area` of the image, cut off at the image's border."""
    corners = 96 if rng.random() < 0.6 else int(rng.integers(4, 9))
    radius, angle = _outline(corners, rng)
    stretch = float(rng.uniform(0.7, 1.4))
    y, x = radius * np.sin(angle) * stretch, radius * np.cos(angle) / stretch
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y
    size = np.sqrt(area * height * width / _polygon_area(y, x))
    y, x = size * y, size * x
    y += _position(y, height, rng)
    x += _position(x, width, rng)
    canvas = Pillow.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=1)
    return np.array(canvas)


def _outline(corners: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.arange(corners) / corners
    if corners < 10:
        return rng.uniform(0.7, 1.3, corners), angle + rng.uniform(-0.25, 0.25, corners)
    order = np.arange(2, 7)[:, None]
    waves = np.cos(order * angle + rng.uniform(0, 2 * np.pi, order.shape)) * rng.uniform(0, 0.5, order.shape) / order
    return 1 + waves.sum(axis=0), angle


def _polygon_area(y: np.ndarray, x: np.ndarray) -> float:
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _position(points: np.ndarray, length: int, rng: np.random.Generator) -> float:
    """A shift that puts `points` inside [0, length), or centres them if they do not fit."""
    low, high = -points.min(), length - points.max()
    return float(rng.uniform(low, high)) if low < high else (low + high) / 2
