"""A digital camera's traces, simulated: colour filter array, demosaicing, sensor noise, tone curve, sharpening.

A scene (an image in display values) is converted back to linear light, blurred by the lens, sampled by a Bayer filter
with shot and read noise at each pixel, demosaiced, and developed. Since noise is added before demosaicing and the tone
curve, it ends up spatially correlated and signal-dependent, as in real photographs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

Image = UInt8[np.ndarray, "height width 3"]
Raw = Float32[np.ndarray, "height width"]
Linear = Float32[np.ndarray, "height width 3"]

RAW_LEVELS = 4096
GAMMA = 2.2
BAYER_PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
DEMOSAICERS = ("bilinear", "gradient")
_TO_LINEAR = ((np.arange(256) / 255.0) ** GAMMA).astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """Settings of one simulated camera.

    red_site: (row, column) of the red pixel in each 2 x 2 cell of the Bayer filter.
    demosaic: "bilinear", or "gradient" (Malvar, He & Cutler, ICASSP 2004).
    lens_blur, denoise: standard deviations, in pixels, of Gaussians before the filter and after demosaicing.
    read_noise, shot_noise: the noise variance is read_noise**2 + shot_noise * signal, for signals in [0, 1].
    white_balance: gains of red and blue; the sensor sees the scene divided by them, so red and blue are noisier.
    contrast: 0 for the plain gamma curve, towards 1 for an S-curve. sharpen: amount of unsharp masking.
    """

    red_site: tuple[int, int] = (0, 0)
    demosaic: str = "bilinear"
    lens_blur: float = 0.0
    read_noise: float = 0.0
    shot_noise: float = 0.0
    white_balance: tuple[float, float] = (1.0, 1.0)
    denoise: float = 0.0
    contrast: float = 0.0
    sharpen: float = 0.0


def draw_camera(rng: np.random.Generator, noise: float) -> Camera:
    """A random camera. `noise` in [0, 1] is its sensitivity, from nearly clean to ISO 1600 on a compact."""
    return Camera(
        red_site=BAYER_PHASES[rng.integers(4)],
        demosaic=DEMOSAICERS[rng.integers(2)],
        lens_blur=float(rng.choice([0.0, rng.uniform(0.3, 0.9)])),
        read_noise=0.006 * noise**2,
        shot_noise=0.0015 * noise**2,
        white_balance=(float(rng.uniform(1.3, 2.2)), float(rng.uniform(1.3, 2.2))),
        denoise=float(rng.choice([0.0, 0.0, rng.uniform(0.4, 0.9)])),
        contrast=float(rng.choice([0.0, rng.uniform(0.1, 0.6)])),
        sharpen=float(rng.choice([0.0, rng.uniform(0.2, 1.5)])),
    )


def photograph(scene: Image, camera: Camera, rng: np.random.Generator) -> Image:
    """`scene` as `camera` would have recorded it, with the same size and, apart from noise, the same colours."""
    light = blur(_TO_LINEAR[scene], camera.lens_blur)
    gains = np.array([camera.white_balance[0], 1.0, camera.white_balance[1]], np.float32)
    raw = mosaic(light / gains, camera.red_site)
    raw += _sensor_noise(raw, camera, rng)
    light = blur(demosaic(raw, camera.red_site, camera.demosaic) * gains, camera.denoise)
    return develop(light, camera)


def develop(light: Linear, camera: Camera) -> Image:
    """Turns linear light in [0, 1] into display values by the camera's tone curve and sharpening."""
    levels = np.clip(light * (RAW_LEVELS - 1) + 0.5, 0, RAW_LEVELS - 1).astype(np.uint16)
    return sharpen(_tone_curve(camera.contrast)[levels], camera.sharpen)


def _tone_curve(contrast: float) -> Float32[np.ndarray, "levels"]:
    display = (np.arange(RAW_LEVELS, dtype=np.float32) / (RAW_LEVELS - 1)) ** (1 / GAMMA)
    s_curve = display * display * (3 - 2 * display)
    return 255 * ((1 - contrast) * display + contrast * s_curve)


def _sensor_noise(raw: Raw, camera: Camera, rng: np.random.Generator) -> Raw:
    deviation = np.sqrt(camera.read_noise**2 + camera.shot_noise * np.maximum(raw, 0), dtype=np.float32)
    return deviation * rng.standard_normal(raw.shape, np.float32)


def mosaic(image: Linear, red_site: tuple[int, int]) -> Raw:
    """What a Bayer sensor sees of `image`: one channel per pixel."""
    (red, row_green, column_green, blue) = _sites(red_site)
    raw = image[..., 1].copy()
    raw[red] = image[..., 0][red]
    raw[blue] = image[..., 2][blue]
    return raw


def demosaic(raw: Raw, red_site: tuple[int, int], method: str = "bilinear") -> Linear:
    """Fills in the two missing channels of every pixel of a Bayer image; recorded values are kept.

    "bilinear" averages the neighbours; "gradient" adds the recorded channel's Laplacian (Malvar, He & Cutler 2004).
    """
    horizontal, vertical, diagonal, far_horizontal, far_vertical = _neighbour_sums(raw)
    green, row, column, opposite = (horizontal + vertical) / 4, horizontal / 2, vertical / 2, diagonal / 4
    if method == "gradient":
        far = far_horizontal + far_vertical
        green = (4 * raw + 2 * (horizontal + vertical) - far) / 8
        row = (5 * raw + 4 * horizontal - diagonal - far_horizontal + far_vertical / 2) / 8
        column = (5 * raw + 4 * vertical - diagonal - far_vertical + far_horizontal / 2) / 8
        opposite = (6 * raw + 2 * diagonal - 1.5 * far) / 8
    elif method != "bilinear":
        raise ValueError(f"demosaic: {method!r} is none of {', '.join(DEMOSAICERS)}")
    image = np.repeat(raw[..., None], 3, axis=-1)
    red_sites, beside_red, below_red, blue_sites = _sites(red_site)
    image[..., 1][red_sites], image[..., 1][blue_sites] = green[red_sites], green[blue_sites]
    image[..., 0][beside_red], image[..., 2][beside_red] = row[beside_red], column[beside_red]
    image[..., 0][below_red], image[..., 2][below_red] = column[below_red], row[below_red]
    image[..., 0][blue_sites], image[..., 2][red_sites] = opposite[blue_sites], opposite[red_sites]
    return image


def _sites(red_site: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Indices of the red sites, of the green ones beside and below them, and of the blue ones."""
    row, column = red_site
    return [np.s_[(row + dy) % 2 :: 2, (column + dx) % 2 :: 2] for dy, dx in BAYER_PHASES]


def _neighbour_sums(raw: Raw) -> tuple[Raw, Raw, Raw, Raw, Raw]:
    height, width = raw.shape
    padded = np.pad(raw, 2, mode="reflect")  # mirrored about the last pixel, to preserve the Bayer phase

    def shifted(dy: int, dx: int) -> Raw:
        return padded[2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]

    diagonal = shifted(-1, -1) + shifted(-1, 1) + shifted(1, -1) + shifted(1, 1)
    beside, above = shifted(0, -1) + shifted(0, 1), shifted(-1, 0) + shifted(1, 0)
    return beside, above, diagonal, shifted(0, -2) + shifted(0, 2), shifted(-2, 0) + shifted(2, 0)


def blur(image: Float32[np.ndarray, "height width *c"], sigma: float) -> Float32[np.ndarray, "height width *c"]:
    """Gaussian blur along rows and columns, truncated at 2.5 `sigma`; 0 for none. Border pixels are repeated."""
    if sigma <= 0:
        return image
    return ndimage.gaussian_filter(image, sigma, axes=(0, 1), mode="nearest", truncate=2.5)


def sharpen(image: Linear, amount: float, sigma: float = 1.0) -> Image:
    """Unsharp masking of an image in display values: adds `amount` times the detail finer than `sigma` pixels."""
    if amount > 0:
        image = image + amount * (image - blur(image, sigma))
    return to_uint8(image)


def to_uint8(image: Float32[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Rounded and clipped to 0 ... 255."""
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
