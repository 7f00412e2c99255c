"""Procedural scenes: overlapping objects under gradients of light, with fractal, woven and leafy textures.

They stand in for photographs where none may be shipped. Colours are drawn anew for every object of every scene, so
colour says nothing about where a scene was used.
"""

import numpy as np
from jaxtyping import Float32
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import fft

from splice_jax.data.composing.camera import Image, to_uint8
from splice_jax.data.composing.objects import Regions, drawn_object

Field = Float32[np.ndarray, "height width"]

OBJECTS = (8, 18)
OBJECT_AREA = (0.01, 0.12)
DARKEST, BRIGHTEST = 24, 232
"""Kept away from black and white, where clipped noise would shift the mean colour."""


def draw_scene(height: int, width: int, rng: np.random.Generator) -> tuple[Image, Regions]:
    """A scene in display values and its segmentation; region 0 is the background."""
    regions = _draw_regions(height, width, rng)
    count = int(regions.max()) + 1
    colours = rng.uniform(50, 205, (count, 1)) + rng.normal(0, 22, (count, 3))
    light = np.stack([_gradient(height, width, rng) for _ in range(2)])
    fields = np.stack([_fractal(height, width, rng), _fractal(height, width, rng), _leaves(height, width, rng)])
    scene = colours.astype(np.float32)[regions]
    scene += (_per_region(light, regions, rng, 30) + _per_region(fields, regions, rng, 22))[..., None]
    scene *= rng.uniform(0.88, 1.12, 3).astype(np.float32)
    return to_uint8(np.clip(scene, DARKEST, BRIGHTEST)), regions


def _draw_regions(height: int, width: int, rng: np.random.Generator) -> Regions:
    """Objects layered on a canvas larger than the scene, which is its middle, so that the border cuts some off."""
    canvas = np.zeros((3 * height // 2, 3 * width // 2), np.uint8)
    for number in range(1, int(rng.integers(*OBJECTS)) + 1):
        canvas[drawn_object(*canvas.shape, float(rng.uniform(*OBJECT_AREA)), rng)] = number
    top, left = height // 4, width // 4
    return canvas[top : top + height, left : left + width]


def _per_region(fields: np.ndarray, regions: Regions, rng: np.random.Generator, strongest: float) -> Field:
    """Picks one of several fields for each region, at a strength of its own."""
    count = int(regions.max()) + 1
    chosen = rng.integers(len(fields), size=count)[regions]
    strength = rng.uniform(0.1 * strongest, strongest, count).astype(np.float32)[regions]
    return np.take_along_axis(fields, chosen[None], axis=0)[0] * strength


def _gradient(height: int, width: int, rng: np.random.Generator) -> Field:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    return np.float32(np.sin(angle)) * y + np.float32(np.cos(angle)) * x


def _fractal(height: int, width: int, rng: np.random.Generator) -> Field:
    """Noise whose amplitude falls with a power of the frequency, stretched along one axis; mean 0, deviation 1."""
    spectrum = fft.rfft2(rng.standard_normal((height, width), np.float32))
    stretch = np.float32(np.exp(rng.uniform(-1, 1)))
    rows, columns = fft.fftfreq(height)[:, None] * stretch, fft.rfftfreq(width) / stretch
    frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width)).astype(np.float32)
    field = fft.irfft2(spectrum * frequency ** np.float32(-rng.uniform(0.7, 1.6)), (height, width))
    return field / field.std()


def _leaves(height: int, width: int, rng: np.random.Generator, count: int = 500) -> Field:
    """Small overlapping ellipses and blades of random tone; mean 0, deviation 1."""
    canvas = Pillow.new("L", (width, height), 128)
    draw = ImageDraw.Draw(canvas)
    tones = rng.integers(0, 256, count).tolist()
    corners = rng.uniform(0, 1, (count, 2)) * (width, height)
    sizes = rng.uniform(2, 14, (count, 2))
    boxes = np.hstack([corners, corners + sizes]).tolist()
    for box, tone, blade in zip(boxes, tones, (rng.random(count) < 0.4).tolist(), strict=True):
        if blade:
            draw.line(box, fill=tone, width=1 + tone % 2)
        else:
            draw.ellipse(box, fill=tone)
    field = np.asarray(canvas, np.float32)
    return (field - field.mean()) / field.std()
