"""What every row does with odd images: a map, or one line that says why there is none."""

import functools
import io

import jax
import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax.images import encode_png, read_image
from splice_jax.methods import Localizer, Undefined, names
from splice_jax.methods.registry import family, is_trained, trained_names
from splice_jax.runs.builtin import default
from splice_jax.runs.load import localizer_from_config


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def odd_images() -> dict[str, bytes]:
    """Of every kind that people have and no author thinks of."""
    generator = np.random.default_rng(5)
    noise = generator.integers(0, 256, (70, 90, 4), np.uint8)
    sizes = (1, 1), (1, 90), (15, 16), (16, 16), (17, 40), (63, 61)
    small = {f"{height}x{width}": encode_png(noise[:height, :width, :3]) for height, width in sizes}
    saturated = np.where(noise[..., :3] > 128, np.uint8(255), np.uint8(0))
    return small | {
        "grey": encode_png(noise[..., 0]),
        "transparent": encoded(Image.fromarray(noise, "RGBA")),
        "16 bits": encode_png(noise[..., 0].astype(np.uint16) * 257),
        "black": encode_png(np.zeros((70, 90, 3), np.uint8)),
        "white": encode_png(np.full((70, 90, 3), 255, np.uint8)),
        "one colour": encode_png(np.full((70, 90, 3), (255, 0, 9), np.uint8)),
        "saturated": encode_png(saturated),
        "half flat": encode_png(np.where(np.arange(90)[:, None] < 40, np.uint8(90), noise[..., :3])),
        "JPEG": encoded(Image.fromarray(noise[..., :3]), "JPEG"),
        "grey JPEG": encoded(Image.fromarray(noise[..., 0]), "JPEG"),
        "tiny JPEG": encoded(Image.fromarray(noise[:3, :5, :3]), "JPEG"),
    }


ODD = odd_images()


@functools.cache
def row(name: str) -> Localizer:
    """Of trained rows a small network as it is before training."""
    if not is_trained(name):
        return splice_jax.localizer(name)
    config = default.get_config()
    config.update(method=name, hidden_size=64, num_layers=1, width=0.0625, crop_size=32)
    rows = family(name)
    network = rows.network(config)
    return localizer_from_config(config, network, rows.initial_variables(network, jax.random.key(0)))


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", [*names(), *trained_names()])
def test_every_row_gives_a_map_or_one_line_for_odd_images(name, kind):
    image = read_image(ODD[kind])
    try:
        found = row(name).localize_encoded(image, ODD[kind])
    except Undefined as reason:
        assert str(reason).startswith(f"row {name} ")
        assert "\n" not in str(reason) and len(str(reason)) < 160
        return
    assert found.probability.shape == found.mask.shape == image.shape[:2]
    assert found.probability.dtype == np.float32 and found.mask.dtype == bool
    assert found.probability.min() >= 0 and found.probability.max() <= 1


@pytest.mark.parametrize("name", trained_names())
def test_trained_rows_are_undefined_below_their_smallest_size_and_at_no_other(name: str) -> None:
    least = row(name).smallest
    assert least >= 25
    image = np.random.default_rng(0).integers(0, 256, (least, least + 3, 3), np.uint8)
    assert row(name)(image).probability.shape == image.shape[:2]
    for small in (image[:-1], image[:, : least - 1]):
        size = f"{small.shape[1]}x{small.shape[0]}"
        with pytest.raises(Undefined, match=f"^row {name} needs an image of at least {least}x{least} .* has {size}$"):
            row(name)(np.ascontiguousarray(small))
