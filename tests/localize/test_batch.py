"""Results on disk, with a localizer that finds what is green."""

import csv
import dataclasses
import io
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from splice_jax.errors import UserError
from splice_jax.images import encode_png, read_image, read_mask
from splice_jax.localize import find_images, localize_files
from splice_jax.localize.results import overlay
from splice_jax.localize.summary import FILE_NAME
from splice_jax.methods import Found, Localizer, Undefined

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


class Green(Localizer):
    """The green channel is the probability."""

    name = "green"

    def __init__(self, labels: bool = True) -> None:
        self.found = np.array([[0.25, 1]], np.float32) if labels else None

    def __call__(self, image):
        probability = image[:, :, 1] / np.float32(255)
        return Found(probability, probability >= 0.5, self.found)


class Red(Green):
    """The red channel is, but some images have none."""

    name = "red"

    def __call__(self, image):
        if not image[:, :, 0].any():
            raise Undefined("row red needs a\nred channel")
        return super().__call__(image[:, :, ::-1][:, :, [0, 2, 1]])


class Greedy(Localizer):
    """Wants more memory than there is for all but black images, or fails in another way."""

    name = "greedy"

    def __init__(self, want: Callable[[], object]) -> None:
        self.want = want

    def __call__(self, image):
        if image.any():
            self.want()
        return Green()(image)


def photograph(path: Path, pixels: np.ndarray = PICTURE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))
    return path


def localize(images: list[Path], output: Path, *rows: Localizer, raw: bool = False) -> int:
    """How many of the images fail."""
    infixes = [""] if len(rows) == 1 else [f".{row.name}" for row in rows]
    return localize_files(find_images(images, output, infixes=infixes), output, rows, raw=raw)


def lines(output: Path) -> list[dict[str, str]]:
    with open(output / FILE_NAME, newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != FILE_NAME)


def test_results_hold_what_was_found(tmp_path):
    image, output = photograph(tmp_path / "in" / "beach.1.png"), tmp_path / "out"
    assert localize([image], output, Green(), raw=True) == 0
    assert names(output) == [f"beach.1.{kind}" for kind in ("mask.png", "npz", "overlay.png", "probability.png")]
    found = Green()(PICTURE)
    np.testing.assert_array_equal(
        np.asarray(Image.open(output / "beach.1.probability.png")), PICTURE[:, :, 1] * np.uint16(257)
    )
    np.testing.assert_array_equal(read_mask(output / "beach.1.mask.png"), found.mask)
    np.testing.assert_array_equal(read_image(output / "beach.1.overlay.png"), overlay(PICTURE, found.mask))
    with np.load(output / "beach.1.npz") as raw:
        assert sorted(raw) == ["label_probability", "mask", "probability", "valid"]
        for name in raw:
            assert raw[name].dtype == getattr(found, name).dtype
            np.testing.assert_array_equal(raw[name], getattr(found, name))


def test_raw_is_off_and_without_labels_where_there_are_none(tmp_path):
    image = photograph(tmp_path / "a.png")
    localize([image], tmp_path / "out", Green(labels=False))
    assert "a.npz" not in names(tmp_path / "out")
    localize([image], tmp_path / "out", Green(labels=False), raw=True)
    with np.load(tmp_path / "out" / "a.npz") as raw:
        assert sorted(raw) == ["mask", "probability", "valid"]


def test_one_bad_file_does_not_stop_the_rest(tmp_path, capsys):
    good = [photograph(tmp_path / f"{name}.png") for name in ("a", "c")]
    bad = tmp_path / "b.png"
    bad.write_bytes(good[0].read_bytes()[:-500])
    assert localize([good[0], bad, tmp_path / "d.png", good[1]], tmp_path / "out", Green()) == 2
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
    assert localize([photograph(tmp_path / "a.png"), tmp_path / "b.png"], tmp_path / "out", Green()) == 1
    assert "2/2" in terminal.getvalue()
    assert f"error: {tmp_path / 'b.png'}: cannot be opened" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_earlier_results_are_replaced(tmp_path):
    output = tmp_path / "out"
    localize([photograph(tmp_path / "a.png", np.zeros_like(PICTURE))], output, Green())
    localize([photograph(tmp_path / "a.png")], output, Green())
    np.testing.assert_array_equal(read_mask(output / "a.mask.png"), PICTURE[:, :, 1] >= 128)
    assert len(names(output)) == 3


def test_arrays_stay_within_16_bytes_per_pixel(tmp_path):
    """Picture 3, map 4, mask 1, painted copy 3: a copy in float64 would be seen."""
    image = photograph(tmp_path / "large.png", np.kron(PICTURE, np.ones((50, 40, 1), np.uint8)))
    tracemalloc.start()
    localize([image], tmp_path / "out", Green())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / (40 * 50 * 60 * 40) < 16


def test_of_several_methods_the_results_carry_the_name(tmp_path, capsys):
    image, output = photograph(tmp_path / "in" / "a.png"), tmp_path / "out"
    assert localize([image], output, Green(), Red(), raw=True) == 0
    kinds = "mask.png", "npz", "overlay.png", "probability.png"
    assert names(output) == [f"a.{name}.{kind}" for name in ("green", "red") for kind in kinds]
    np.testing.assert_array_equal(read_mask(output / "a.green.mask.png"), PICTURE[:, :, 1] >= 128)
    np.testing.assert_array_equal(read_mask(output / "a.red.mask.png"), PICTURE[:, :, 0] >= 128)
    shares = [f"{(PICTURE[:, :, channel] >= 128).mean():.1%} spliced" for channel in (1, 0)]
    said = [line.rsplit(",", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [f"{image}: green: {shares[0]}", f"{image}: red: {shares[1]}"]


def test_among_several_methods_one_that_is_undefined_fails_nothing(tmp_path, capsys):
    image, output = photograph(tmp_path / "a.png", PICTURE * np.array([0, 1, 1], np.uint8)), tmp_path / "out"
    assert localize([image], output, Red(), Green()) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"{image}: red: undefined, row red needs a red channel"
    assert said.err == "" and len(names(output)) == 3
    assert [line["status"] for line in lines(output)] == ["undefined", "ok"]
    assert localize([image], tmp_path / "alone", Red()) == 1
    assert capsys.readouterr() == ("", f"error: {image}: row red needs a red channel\n")
    assert lines(tmp_path / "alone")[0]["status"] == "undefined"


def test_a_terminal_gets_the_methods_that_are_undefined(tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    image = photograph(tmp_path / "a.png", np.zeros_like(PICTURE))
    assert localize([image], tmp_path / "out", Red(), Green()) == 0
    assert f"{image}: red: undefined, row red needs a red channel\n" in terminal.getvalue()


def test_the_summary_has_a_line_for_each_image_and_method(tmp_path):
    good, bad = photograph(tmp_path / "a, b.png"), tmp_path / "absent.png"
    black = photograph(tmp_path / "black.png", np.zeros((3, 5, 3), np.uint8))
    assert localize([good, bad, black], tmp_path / "out", Green(), Red()) == 1
    assert (
        (tmp_path / "out" / FILE_NAME)
        .read_text()
        .startswith("image,method,status,reason,width,height,marked_share,seconds,score,alarm\n")
    )
    found = lines(tmp_path / "out")
    assert all(float(line.pop("seconds")) >= 0 for line in found if line["status"] == "ok")
    sizes, share = {"width": "60", "height": "40"}, (PICTURE >= 128).mean(axis=(0, 1))
    missing = "cannot be opened (no such file or directory); check the path"
    uncalibrated = {"score": "", "alarm": ""}
    nothing = {"width": "", "height": "", "marked_share": "", **uncalibrated}
    common = {"image": str(good), "status": "ok", "reason": "", **sizes, **uncalibrated}
    assert found[0] == {**common, "method": "green", "marked_share": f"{share[1]:.6g}"}
    assert found[1] == {**common, "method": "red", "marked_share": f"{share[0]:.6g}"}
    for line, method in zip(found[2:4], ("green", "red"), strict=True):
        assert line.pop("seconds") == ""
        assert line == {"image": str(bad), "method": method, "status": "failed", "reason": missing, **nothing}
    assert [(line["method"], line["status"], line["width"]) for line in found[4:]] == [
        ("green", "ok", "5"),
        ("red", "undefined", "5"),
    ]


def test_an_image_that_cannot_be_read_is_one_line_however_many_methods(tmp_path, capsys):
    assert localize([tmp_path / "absent.png"], tmp_path / "out", Green(), Red()) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_call_that_is_interrupted_leaves_the_lines_of_what_it_did(tmp_path):
    def interrupt() -> None:
        raise KeyboardInterrupt

    images = [photograph(tmp_path / "a.png", np.zeros_like(PICTURE)), photograph(tmp_path / "b.png")]
    for _ in range(2):  # The second call's summary takes the place of the first's.
        with pytest.raises(KeyboardInterrupt):
            localize(images, tmp_path / "out", Green(), Greedy(interrupt))
        found = [(Path(line["image"]).name, line["method"]) for line in lines(tmp_path / "out")]
        assert found == [("a.png", "green"), ("a.png", "greedy"), ("b.png", "green")]
    assert FILE_NAME in {path.name for path in (tmp_path / "out").iterdir()}
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_an_image_is_read_once(tmp_path):
    """A pipe gives what it holds to the first reader and nothing to a second."""
    pipe = tmp_path / "a.png"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=[encode_png(PICTURE)], daemon=True).start()
    assert localize([pipe], tmp_path / "out", Green(), Red()) == 0


def test_a_file_that_goes_meanwhile_is_one_line_and_the_others_go_on(tmp_path, capsys):
    images = [photograph(tmp_path / f"{name}.png") for name in "abc"]
    assert localize(images, tmp_path / "out", Greedy(lambda: images[1].unlink(missing_ok=True))) == 1
    missing = "cannot be opened (no such file or directory); check the path"
    assert capsys.readouterr().err == f"error: {images[1]}: {missing}\n"
    assert len(names(tmp_path / "out")) == 6


def test_a_broken_link_is_one_line_with_its_cause(tmp_path, capsys):
    photograph(tmp_path / "in" / "b.png")
    link = tmp_path / "in" / "a.png"
    link.symlink_to("absent.png")
    assert localize([tmp_path / "in"], tmp_path / "out", Green()) == 1
    broken = "a link to absent.png, which is not there; mend or remove the link"
    assert capsys.readouterr().err == f"error: {link}: {broken}\n"
    assert len(names(tmp_path / "out")) == 3


@pytest.mark.parametrize(
    "want",
    [lambda: np.empty(1 << 50, np.uint8), lambda: jax.numpy.zeros(1 << 50, np.uint8).block_until_ready()],
    ids=["of the machine", "of a device"],
)
def test_out_of_memory_is_one_line_and_the_others_go_on(tmp_path, capsys, want):
    images = [photograph(tmp_path / "a.png"), photograph(tmp_path / "b.png", np.zeros_like(PICTURE))]
    assert localize(images, tmp_path / "out", Greedy(want), Green()) == 1
    reason = "row greedy: out of memory at 60x40 pixels; scale the image down, or use a larger machine"
    assert capsys.readouterr().err == f"error: {images[0]}: {reason}\n"
    assert [line["status"] for line in lines(tmp_path / "out")] == ["failed", "ok", "ok", "ok"]


def test_a_row_s_error_names_file_and_row_and_a_fault_of_the_program_is_not_hidden(tmp_path, capsys):
    def fail(error: Exception) -> None:
        raise error

    image = photograph(tmp_path / "a.png")
    assert localize([image], tmp_path / "out", Greedy(lambda: fail(UserError("JPEG: broken")))) == 1
    assert capsys.readouterr().err == f"error: {image}: row greedy: JPEG: broken\n"
    with pytest.raises(RuntimeError, match="a fault"):
        localize([image], tmp_path / "out", Greedy(lambda: fail(RuntimeError("a fault"))))


def test_results_of_one_method_do_not_take_the_places_of_another_s(tmp_path):
    image, output = photograph(tmp_path / "a.png"), tmp_path / "out"
    localize([image], output, Red())
    with pytest.raises(UserError, match="out: holds results of red under the same names; .* --method=red,green"):
        localize([image], output, Green())
    np.testing.assert_array_equal(read_mask(output / "a.mask.png"), PICTURE[:, :, 0] >= 128)
    assert lines(output)[0]["method"] == "red"
    assert localize([photograph(tmp_path / "b.png")], tmp_path / "out", Red()) == 0
    assert localize([image], output, Red(), Green()) == 0
    assert localize([photograph(tmp_path / "c.png")], output, Green()) == 0


def test_the_summary_keeps_the_lines_of_other_images(tmp_path):
    first, second, output = photograph(tmp_path / "a.png"), photograph(tmp_path / "b.png"), tmp_path / "out"
    localize([first], output, Red())
    localize([second], output, Green())
    assert [(Path(line["image"]).name, line["method"]) for line in lines(output)] == [
        ("a.png", "red"),
        ("b.png", "green"),
    ]
    with pytest.raises(UserError, match="holds results of red under the same names"):
        localize([first], output, Green())
    localize([first], output, Red())
    assert [(Path(line["image"]).name, line["method"]) for line in lines(output)] == [
        ("b.png", "green"),
        ("a.png", "red"),
    ]


def test_a_summary_of_something_else_is_not_replaced(tmp_path):
    image, other = photograph(tmp_path / "a.png"), tmp_path / "out" / FILE_NAME
    other.parent.mkdir()
    for rows, text in (([Green()], "year,turnover\n"), ([Green(), Red()], "x" * 200_000)):
        other.write_text(text)
        with pytest.raises(UserError, match="summary.csv: is no summary of localized images"):
            localize([image], tmp_path / "out", *rows)
        assert other.read_text() == text


def test_names_need_not_be_unicode(tmp_path, capsys):
    image = photograph(tmp_path / os.fsdecode(b"M\xfcnchen.png"))
    assert localize([image], tmp_path / "out", Green()) == 0
    assert "M\\xfcnchen.png" in capsys.readouterr().out
    assert b"M\xfcnchen.png" in (tmp_path / "out" / FILE_NAME).read_bytes()


def test_a_calibrated_method_tells_score_and_alarm_everywhere(tmp_path, capsys):
    class Calibrated(Green):
        def __call__(self, image):
            return dataclasses.replace(super().__call__(image), score=0.75, alarm=0.125)

    image = photograph(tmp_path / "a.png")
    assert localize([image], tmp_path / "out", Calibrated(), raw=True) == 0
    assert "score 0.75 (12.5% of authentic photographs score as high), " in capsys.readouterr().out
    [line] = lines(tmp_path / "out")
    assert (line["score"], line["alarm"]) == ("0.75", "0.125")
    with np.load(tmp_path / "out" / "a.npz") as raw:
        assert (float(raw["score"]), float(raw["alarm"])) == (0.75, 0.125)
