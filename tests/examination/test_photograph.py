"""One examination of one photograph, by rows whose answers are known."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import splice_jax
from splice_jax.errors import UserError
from splice_jax.examination import examine, load_rows
from splice_jax.examination.looking import FLAT_MAP
from splice_jax.examination.photograph import examine_encoded
from splice_jax.examination.rows import Rows, looks_for
from splice_jax.images import encode_png, read_image
from splice_jax.methods import Found, Localizer, Undefined, localizer
from splice_jax.methods.registry import PACKAGED, hand_crafted
from tests.examination.samples import jpeg, scene


class Green(Localizer):
    """The green channel is the probability.

    And nothing else.
    """

    name = "green"

    def __init__(self, score: float | None = None, alarm: float | None = None) -> None:
        self.score, self.alarm = score, alarm

    def __call__(self, image):
        probability = image[:, :, 1] / np.float32(255)
        valid = np.ones(probability.shape, bool)
        valid[:10] = False
        return Found(probability, probability >= 0.5, score=self.score, alarm=self.alarm, valid=valid)


class Picky(Localizer):
    """Refuses, fails or runs out of memory."""

    name = "picky"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, image):
        raise self.error


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(scene()))
    return path


def test_every_row_without_training_looks_and_the_numbers_are_the_localizers(photo: Path) -> None:
    made = splice_jax.examine(photo)
    assert [row.name for row in made.rows] == [*PACKAGED, *hand_crafted()]
    assert made.verdict.row == PACKAGED[0] and made.verdict.level != "none"
    for row in made.rows:
        assert (row.found is None) == bool(row.undefined)
        if row.found is not None:
            found = localizer(row.name).localize_file(photo)
            np.testing.assert_array_equal(row.found.probability, found.probability)
            np.testing.assert_array_equal(row.found.mask, found.mask)


def test_the_main_row_gives_the_verdict(photo: Path) -> None:
    made = examine(photo, rows=Rows(Green(0.75, 0.5), [localizer("noi1")]))
    assert [row.name for row in made.rows] == ["green", "noi1"]
    assert (made.verdict.row, made.verdict.score, made.verdict.alarm) == ("green", 0.75, 0.5)
    assert made.rows[0].no_evidence["unusable"][:10].all() and not made.rows[0].no_evidence["unusable"][10:].any()


def test_rows_of_a_run_come_first(photo: Path, tiny_run) -> None:
    rows = load_rows(tiny_run.workdir)
    assert rows.main is not None and rows.main.name == "sgn"
    made = examine(photo, workdir=tiny_run.workdir)
    found = splice_jax.load(tiny_run.workdir).localize_file(photo)
    assert made.rows[0].found is not None
    np.testing.assert_array_equal(made.rows[0].found.probability, found.probability)
    assert made.verdict.headline == "No verdict: sgn has no calibrated score"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Undefined("row picky needs a\nlarger image"), "needs a larger image"),
        (UserError("photo: something is wrong"), "photo: something is wrong"),
        (MemoryError(), "there is not enough memory for a photograph of this size"),
    ],
)
def test_a_row_that_says_nothing_says_why_and_the_others_go_on(photo: Path, error: Exception, reason: str) -> None:
    made = examine(photo, rows=Rows(Picky(error), [Green()]))
    assert made.rows[0].undefined == reason and made.rows[0].found is None
    assert made.rows[1].found is not None
    assert "can say nothing" in made.verdict.headline


def test_a_mistake_in_a_row_is_not_hidden(photo: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        examine(photo, rows=Rows(None, [Picky(ZeroDivisionError())]))


class Flat(Localizer):
    """A row whose map is the same everywhere."""

    name = "flat"

    def __call__(self, image):
        return Found(np.zeros(image.shape[:2], np.float32), np.zeros(image.shape[:2], bool))


def test_what_makes_a_row_say_less_is_named(photo: Path, tmp_path: Path) -> None:
    rows = Rows(None, [Flat(), *(localizer(name) for name in ("cfa1", "dct", "adq2"))])
    cautions = {row.name: row.cautions for row in examine(photo, rows=rows).rows}
    assert "wipes" in cautions["cfa1"][0] and cautions["dct"] == []
    assert cautions["flat"] == [FLAT_MAP]
    flat = scene()
    flat[:, :150] = 128
    (tmp_path / "photo.png").write_bytes(encode_png(flat))
    rows_of_png = {row.name: row for row in examine(tmp_path / "photo.png", rows=rows).rows}
    assert [each.split(";")[0] for each in rows_of_png["dct"].cautions[:1]] == ["this file is no JPEG"]
    assert rows_of_png["dct"].cautions[-1].startswith("only ")
    assert "no JPEG" in rows_of_png["adq2"].undefined


def test_pixels_of_a_jpeg_are_looked_at_as_such() -> None:
    rows = Rows(None, [localizer(name) for name in ("dct", "blk", "cfa1")])
    pixels = read_image(jpeg(scene(256, 256), quality=80))

    def cautions(image: np.ndarray) -> dict[str, list[str]]:
        results = examine_encoded(encode_png(image), "photo.png", rows).rows
        return {row.name: [why.split(",")[0] for why in row.cautions if "JPEG" in why] for row in results}

    whole, cropped = cautions(pixels), cautions(pixels[3:, 5:])
    sensor = ["JPEG compression wipes most of the sensor's pattern out"]
    assert whole == {"dct": [], "blk": [], "cfa1": sensor}
    assert cropped == {
        "dct": [
            "the photograph was a JPEG and cropped or turned since; this row looks for blocks where they were before"
        ],
        "blk": [],
        "cfa1": sensor,
    }


def test_compressions_are_told_as_far_as_rows_can_tell() -> None:
    rows = Rows(None, [localizer("adq1"), localizer("nadq")])
    once = examine_encoded(jpeg(scene(256, 256)), "photo.jpg", rows)
    assert once.compressions == "one, or more that no row can tell"
    sharp = np.random.default_rng(0).normal(128, 25, (256, 256, 1)).clip(0, 255).repeat(3, 2).astype(np.uint8)
    before = read_image(jpeg(sharp, quality=60))
    twice = examine_encoded(jpeg(before, quality=92), "photo.jpg", rows)
    assert twice.compressions.startswith("signs of more than one")
    assert examine_encoded(encode_png(scene()), "photo.png", rows).compressions == "this file is no JPEG"
    of_pixels = "this file is no JPEG, but its pixels are those of a JPEG of a quality of about"
    pixels = read_image(jpeg(scene(256, 256), quality=70))
    for image, more in ((pixels, False), (read_image(jpeg(pixels[3:, 5:], quality=90)), True)):
        told = examine_encoded(encode_png(image), "photo.png", rows).compressions
        assert told.startswith(of_pixels) and told.endswith("nadq finds signs of one before that") == more


def test_maps_may_be_given_up_once_seen() -> None:
    image = scene(500, 600)
    rows = Rows(None, [Green() for _ in range(20)])
    seen = []
    tracemalloc.start()
    made = examine_encoded(
        encode_png(image), "photo.png", rows, progress=lambda row: seen.append(row.found is not None), keep_maps=False
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == [True] * 20 and all(row.found is None and not row.undefined for row in made.rows)
    assert peak < 25 * image[..., 0].size * 4


def test_a_bad_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        examine(tmp_path / "absent.jpg")
    (tmp_path / "text.jpg").write_text("no photograph")
    with pytest.raises(UserError, match=r"text\.jpg: not an image"):
        examine(tmp_path / "text.jpg")


def test_every_row_says_what_it_looks_for_in_one_sentence() -> None:
    for name in hand_crafted():
        text = looks_for(localizer(name))
        assert text.endswith(".") and text[:-1].count(".") == 0 and 40 < len(text) < 160, name
    assert looks_for(Green()) == "The green channel is the probability."
