"""Images whose maps a device refines together."""

import numpy as np
from PIL import Image

from splice_jax.crf import on_device
from splice_jax.localize import find_images, localize_files
from splice_jax.methods.refined import Refined
from tests.localize.test_batch import Red, lines, localize, names, photograph


def test_images_that_are_refined_together_give_what_each_gives_alone(tmp_path, monkeypatch, capsys):
    """Of two sizes, one of them unreadable, one without red, which the row needs; in their order."""
    random = np.random.default_rng(0)
    sizes = [(40, 50), (40, 50), (64, 48), (40, 50), (40, 50), (64, 48)]
    pictures = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    pictures[3][..., 0] = 0
    images = [photograph(tmp_path / f"{number}.png", pixels) for number, pixels in enumerate(pictures)]
    images[1].write_bytes(b"no picture")
    row = Refined(Red(), "jax")
    batches, refine_batch = [], on_device.refine_batch

    def noted(images, *rest):
        batches.append(len(images))
        return refine_batch(images, *rest)

    monkeypatch.setattr(on_device, "refine_batch", noted)
    assert localize(images, tmp_path / "alone", row) == 2
    said = capsys.readouterr()
    assert batches == [1, 1, 1, 1]
    batches.clear()
    files = find_images(images, tmp_path / "together", infixes=[""])
    assert localize_files(files, tmp_path / "together", [row], at_a_time=3) == 2
    assert sum(batches) == 4
    assert capsys.readouterr().err == said.err
    first, second = lines(tmp_path / "alone"), lines(tmp_path / "together")
    assert [each | {"seconds": ""} for each in second] == [each | {"seconds": ""} for each in first]
    assert names(tmp_path / "together") == names(tmp_path / "alone")
    for name in names(tmp_path / "alone"):
        ours, theirs = (np.asarray(Image.open(tmp_path / folder / name)) for folder in ("together", "alone"))
        np.testing.assert_allclose(ours.astype(float), theirs, atol=1)
