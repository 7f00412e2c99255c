"""The command `examine`: its files, its numbers, its exit codes."""

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import splice_jax
from splice_jax import cli
from splice_jax.examination import batch
from splice_jax.examination.looking import RowResult
from splice_jax.examination.output.document import SCHEMA, digest, document
from splice_jax.examination.output.pictures import threshold
from splice_jax.examination.output.view import View, percent, view
from splice_jax.examination.rows import Rows
from tests.examination.samples import exif, jpeg, scene

HOSTILE = "</script><script>alert(1)</script>\"'&"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main(["examine", *map(str, arguments)])
    said = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.out, said.err


def embedded(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="document">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def compressed_once(pixels: np.ndarray) -> np.ndarray:
    """Compressed before, but for a part: what the rows of double compression need to say anything."""
    once = np.array(Image.open(io.BytesIO(jpeg(pixels, quality=55))).convert("RGB"))
    once[: len(once) // 3] = pixels[: len(once) // 3]
    return once


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a photograph and its results; the file's name and metadata are hostile."""
    folder = tmp_path_factory.mktemp("examined")
    photo = folder / "a<b>&'c.jpg"
    fields = {0x010F: HOSTILE, 0x0131: f"GIMP {HOSTILE}", 0x0132: "2024:06:01 12:00:00"}
    photo.write_bytes(
        jpeg(
            compressed_once(scene()),
            exif=exif(fields, {0x9003: "2024:05:17 09:30:00"}, {1: "N", 2: (48.0, 51.0, 29.0)}),
        )
    )
    with pytest.raises(SystemExit) as caught:
        cli.main(["examine", str(photo), "--output", str(folder)])
    assert caught.value.code == 0
    return folder


def test_a_page_and_a_document_say_the_same_and_what_localize_says(
    made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = next(made.glob("*.jpg"))
    content = json.loads(next(made.glob("*.examination.json")).read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA
    assert embedded(next(made.glob("*.examination.html")).read_text(encoding="utf-8")) == content
    of_api = json.loads(json.dumps(document(splice_jax.examine(photo))))
    for unequal in (content, of_api):
        unequal.pop("examined")
        for row in unequal["rows"]:
            row.pop("seconds")
    assert of_api == content
    with pytest.raises(SystemExit):
        cli.main(["localize", str(photo), "--method=all", "--raw", "--output", str(tmp_path)])
    compared = 0
    for row in content["rows"]:
        path = tmp_path / f"{photo.stem}.{row['row']}.npz"
        assert path.exists() == (row["undefined"] is None)
        if path.exists():
            arrays = np.load(path)
            assert row["marked_share"] == float(arrays["mask"].mean())
            assert row["probability_sha256"] == digest(arrays["probability"])
            assert row["mask_sha256"] == digest(arrays["mask"])
            compared += 1
    assert compared >= 10
    capsys.readouterr()


def test_the_packaged_model_s_numbers_are_those_of_localize_and_of_python_to_the_last_digit(
    made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photo = next(made.glob("*.jpg"))
    content = json.loads(next(made.glob("*.examination.json")).read_text(encoding="utf-8"))
    page = html.unescape(next(made.glob("*.examination.html")).read_text(encoding="utf-8"))
    row = content["rows"][0]
    with pytest.raises(SystemExit):
        cli.main(["localize", str(photo), "--raw", "--output", str(tmp_path)])
    capsys.readouterr()
    arrays, found = np.load(tmp_path / f"{photo.stem}.npz"), splice_jax.load().localize_file(photo)
    assert row["row"] == content["verdict"]["row"] == "sgt"
    for name in ("score", "alarm"):
        assert row[name] == content["verdict"][name] == float(arrays[name]) == getattr(found, name)
        assert f'{name.title()} <data value="{row[name]}">' in page
    for name in ("probability", "mask"):
        np.testing.assert_array_equal(arrays[name], getattr(found, name))
        assert row[f"{name}_sha256"] == digest(getattr(found, name))
    statistics = {name: float(getattr(found.probability, name)()) for name in ("min", "mean", "max")}
    assert row["probability"] == statistics and row["valid_share"] == float(found.valid.mean())
    assert f'data-row="sgt" data-marked="{percent(float(found.mask.mean()))}"' in page
    assert content["verdict"]["sentence"] in page


def test_nothing_of_the_file_becomes_markup_and_no_place_is_told(made: Path) -> None:
    text = next(made.glob("*.examination.html")).read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 2
    assert "a<b>" not in text and "a&lt;b&gt;&amp;&#39;c.jpg" in text
    assert "GIMP &lt;/script&gt;" in text
    assert "coordinates are in the file" in text and "51.0" not in text
    assert "default-src 'none'" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)


def test_the_pictures_are_small_enough_for_a_large_photograph(tmp_path: Path) -> None:
    from splice_jax.examination.output import pictures

    noise = np.random.default_rng(0).random((900, 1200)).astype(np.float32)
    uri = pictures.grey_map(noise, pictures.ROW_SIDE)
    kind, content = uri.split(",", 1)
    assert kind == "data:image/png;base64" and len(uri) < 260_000
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.size == (480, 360)


def test_a_threshold_is_told_only_where_the_mask_is_one() -> None:
    probability = np.array([[0.1, 0.4, 0.8]], np.float32)
    assert threshold(probability, probability >= 0.4) == np.float32(0.4)
    assert threshold(probability, np.array([[True, False, True]])) is None
    assert threshold(probability, probability > 1) is None and threshold(probability, probability >= 0) is None


def test_whoever_waits_is_told_of_a_row_before_its_pictures_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def seen(result: RowResult, *, main: bool) -> View:
        happened.append("pictures")
        return view(result, main=main)

    monkeypatch.setattr(batch, "view", seen)
    rows = Rows(None, [splice_jax.localizer("noi1")])
    batch.make(jpeg(scene()), "photo", rows, progress=lambda result: happened.append(result.name))
    assert happened == ["noi1", "pictures"]


def test_a_bad_file_is_one_line_and_the_others_go_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, absent, empty = tmp_path / "good.png", tmp_path / "absent.jpg", tmp_path / "empty.jpg"
    Image.fromarray(scene(40, 50)).save(good)
    empty.write_bytes(b"")
    output = tmp_path / "out"
    code, said, complaints = run(capsys, absent, good, empty, "--output", output)
    assert code == 2
    assert complaints.splitlines() == [
        f"error: {absent}: cannot be opened (no such file or directory); check the path",
        f"error: {empty}: an empty file; get a whole copy of it",
    ]
    assert (
        said == f"{good}: No verdict: sgt can say nothing about this photograph; see {output}/good.examination.html\n"
    )
    assert sorted(path.name for path in output.iterdir()) == ["good.examination.html", "good.examination.json"]


def test_mistakes_are_told_before_anything_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(scene(40, 50)).save(photo)
    for arguments in ([photo, "--workdir=nowhere"], [photo, tmp_path / "other" / "photo.png"]):
        code, said, complaints = run(capsys, *arguments, "--output", tmp_path / "out")
        assert (code, said, complaints.count("\n")) == (2, "", 1)
        assert not (tmp_path / "out").exists()
    code, _, complaints = run(capsys, photo, "--output", photo)
    assert code == 2 and "no folder that can be written to" in complaints


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 5)])
def test_photographs_of_odd_sizes(capsys: pytest.CaptureFixture[str], tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(scene(*size)).save(tmp_path / "photo.png")
    assert run(capsys, tmp_path / "photo.png", "--output", tmp_path)[0] == 0


def test_the_help_says_where_the_page_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys, "--help")
    assert code == 0 and "docs/examination.md" in said and "--workdir" in said
