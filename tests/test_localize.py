"""Results on disk, with a localizer that finds what is green."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image, read_mask
from splice_jax.localize import TINT, find_images, localize_files, overlay
from splice_jax.methods import Found, Localizer

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


class Green(Localizer):
    """The green channel is the probability."""

    name = "green"

    def __init__(self, labels: bool = True) -> None:
        self.labels = np.array([[0.25, 1]], np.float32) if labels else None

    def __call__(self, image):
        probability = image[:, :, 1] / np.float32(255)
        return Found(probability, probability >= 0.5, self.labels)


def photograph(path: Path, pixels: np.ndarray = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_results_hold_what_was_found(tmp_path):
    image, output = photograph(tmp_path / "in" / "beach.1.png"), tmp_path / "out"
    assert localize_files([image], output, Green(), raw=True) == 0
    assert names(output) == [f"beach.1.{kind}" for kind in ("mask.png", "npz", "overlay.png", "probability.png")]
    found = Green()(PICTURE)
    np.testing.assert_array_equal(
        np.asarray(Image.open(output / "beach.1.probability.png")), PICTURE[:, :, 1] * np.uint16(257)
    )
    np.testing.assert_array_equal(read_mask(output / "beach.1.mask.png"), found.mask)
    np.testing.assert_array_equal(read_image(output / "beach.1.overlay.png"), overlay(PICTURE, found.mask))
    with np.load(output / "beach.1.npz") as raw:
        assert sorted(raw) == ["label_probability", "mask", "probability"]
        for name in raw:
            assert raw[name].dtype == getattr(found, name).dtype
            np.testing.assert_array_equal(raw[name], getattr(found, name))


def test_raw_is_off_and_without_labels_where_there_are_none(tmp_path):
    image = photograph(tmp_path / "a.png")
    localize_files([image], tmp_path / "out", Green(labels=False))
    assert "a.npz" not in names(tmp_path / "out")
    localize_files([image], tmp_path / "out", Green(labels=False), raw=True)
    with np.load(tmp_path / "out" / "a.npz") as raw:
        assert sorted(raw) == ["mask", "probability"]


def test_one_bad_file_does_not_stop_the_rest(tmp_path, capsys):
    good = [photograph(tmp_path / f"{name}.png") for name in ("a", "c")]
    bad = tmp_path / "b.png"
    bad.write_bytes(good[0].read_bytes()[:-500])
    assert localize_files([good[0], bad, tmp_path / "d.png", good[1]], tmp_path / "out", Green()) == 2
    assert {name.split(".")[0] for name in names(tmp_path / "out")} == {"a", "c"}
    said = capsys.readouterr()
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == [str(bad), str(tmp_path / "d.png")]
    share = (PICTURE[:, :, 1] >= 128).mean()
    assert [line.rsplit(",", 1)[0] for line in said.out.splitlines()] == [
        f"{path}: {share:.1%} spliced" for path in good
    ]


def test_a_terminal_gets_a_bar_and_the_failures(tmp_path, capsys, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    assert localize_files([photograph(tmp_path / "a.png"), tmp_path / "b.png"], tmp_path / "out", Green()) == 1
    assert "2/2" in terminal.getvalue()
    assert f"error: {tmp_path / 'b.png'}: cannot be opened" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_earlier_results_are_replaced(tmp_path):
    output = tmp_path / "out"
    localize_files([photograph(tmp_path / "a.png", np.zeros_like(PICTURE))], output, Green())
    localize_files([photograph(tmp_path / "a.png")], output, Green())
    np.testing.assert_array_equal(read_mask(output / "a.mask.png"), PICTURE[:, :, 1] >= 128)
    assert len(names(output)) == 3


def test_folders_stand_for_their_images_and_each_counts_once(tmp_path):
    b, a = photograph(tmp_path / "in" / "b.JPG"), photograph(tmp_path / "in" / "a.tiff")
    photograph(tmp_path / "in" / "deeper" / "c.png")
    (tmp_path / "in" / "notes.txt").write_text("")
    assert find_images([tmp_path / "in", b, tmp_path / "absent.png"], tmp_path / "out") == [
        a,
        b,
        tmp_path / "absent.png",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no images in this folder"):
        find_images([tmp_path / "empty"], tmp_path / "out")


def test_equal_stems_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"one/a.png and .*two/a.jpg: .* same names"):
        find_images([tmp_path / "one/a.png", tmp_path / "b.png", tmp_path / "two/a.jpg"], tmp_path / "out")


def test_an_input_is_never_overwritten(tmp_path):
    images = [photograph(tmp_path / "a.png"), photograph(tmp_path / "a.mask.png")]
    with pytest.raises(UserError, match="a.mask.png: would be overwritten"):
        find_images(images, tmp_path)
    assert find_images(images, tmp_path / "out") == images


def test_overlay_tints_and_outlines_the_region_alone():
    grey = np.full((400, 600, 3), 90, np.uint8)
    mask = np.zeros((400, 600), bool)
    mask[100:300, 200:500] = True
    painted = overlay(grey, mask)
    np.testing.assert_array_equal(painted[~mask], grey[~mask])
    assert painted[200, 198:206].tolist() == [[90] * 3] * 2 + [TINT.tolist()] * 2 + [[0] * 3] + [[145, 60, 116]] * 3
    assert (grey == 90).all()
    assert painted[200, 350].tolist() == [145, 60, 116]
    np.testing.assert_array_equal(overlay(grey, np.zeros_like(mask)), grey)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (700, 3)])
def test_overlay_takes_any_size(size):
    painted = overlay(np.zeros((*size, 3), np.uint8), np.ones(size, bool))
    assert painted.shape == (*size, 3)
    assert painted[0, 0].tolist() == TINT.tolist()


def test_arrays_stay_within_16_bytes_per_pixel(tmp_path):
    """Picture 3, map 4, mask 1, painted copy 3: a copy in float64 would be seen."""
    image = photograph(tmp_path / "large.png", np.kron(PICTURE, np.ones((50, 40, 1), np.uint8)))
    tracemalloc.start()
    localize_files([image], tmp_path / "out", Green())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / (40 * 50 * 60 * 40) < 16
