import csv
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.composing.compose import SPLITS, Composer, compose_folder, find_sources
from splice_jax.errors import UserError


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "compositions.csv", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def composed(photos, regions, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("composed") / "new"
    counts = compose_folder(photos, output, regions=regions, count=20, seed=3, recipe="histories")
    assert counts == {"train": 16, "val": 2, "test": 2}
    return output


def test_every_image_has_a_mask_of_its_size_and_a_row(composed):
    for split, number in {"train": 16, "val": 2, "test": 2}.items():
        rows = table(composed / split)
        images, masks = (sorted((composed / split / kind).iterdir()) for kind in ("images", "masks"))
        assert len(rows) == len(images) == len(masks) == number
        assert [row["image"] for row in rows] == [path.name for path in images]
        for row, image, mask in zip(rows, images, masks, strict=True):
            assert image.stem == mask.stem and mask.suffix == ".png"
            assert (image.suffix == ".jpg") == (row["jpeg_quality"] != "0")
            pixels = np.array(Image.open(mask))
            assert pixels.shape == np.array(Image.open(image)).shape[:2] and set(np.unique(pixels)) == {0, 255}
            assert float(row["share"]) == pytest.approx((pixels == 255).mean(), abs=1e-3)


def test_no_photograph_is_in_two_splits(composed):
    used = [{row[role] for row in table(composed / split) for role in ("host", "donor")} for split in SPLITS]
    assert all(used) and not (used[0] & used[1] or used[0] & used[2] or used[1] & used[2])
    assert all(row["host"] != row["donor"] for row in table(composed / "train"))


def test_copies_of_one_photograph_count_once(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    shutil.copy(photos / "photo00.png", tmp_path / "photos" / "holiday.png")
    found = [source.photo.name for source in find_sources(tmp_path / "photos")]
    assert len(found) == 20 and "holiday.png" in found and "photo00.png" not in found


def test_images_depend_on_seed_and_index_alone(photos, tmp_path):
    arguments: dict[str, Any] = {"recipe": "histories", "split": "train"}
    compose_folder(photos, tmp_path / "few", count=3, seed=1, **arguments)
    compose_folder(photos, tmp_path / "more", count=5, seed=1, workers=2, **arguments)
    compose_folder(photos, tmp_path / "other", count=3, seed=2, **arguments)
    few, more, other = (contents(tmp_path / name / "train") for name in ("few", "more", "other"))
    assert all(more[name] == few[name] for name in few if name != "compositions.csv") and len(few) == 7
    assert all(other[name] != few[name] for name in few if name in other)
    assert len(set(few.values())) == len(few)


@pytest.fixture
def halves(photos, tmp_path) -> tuple[Path, Path]:
    """Two folders of ten photographs each."""
    for number, path in enumerate(sorted(photos.iterdir())):
        (tmp_path / f"half{number % 2}").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / f"half{number % 2}" / path.name)
    return tmp_path / "half0", tmp_path / "half1"


def test_a_split_of_other_photographs_can_be_added_to_an_output(halves, tmp_path):
    for half, split in zip(halves, ("train", "val"), strict=True):
        assert compose_folder(half, tmp_path / "out", count=2, split=split, recipe="rescale") == {split: 2}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "val"]


def test_a_photograph_of_another_split_is_refused_by_its_content(halves, tmp_path):
    out, (first, second) = tmp_path / "out", halves
    compose_folder(first, out, count=4, split="train", recipe="rescale")
    used = table(out / "train")[0]["donor"]
    shutil.copy(first / used, second / "renamed.png")
    with pytest.raises(UserError, match=rf"renamed\.png: .*/train was composed from it already, as {used}; give val"):
        compose_folder(second, out, count=2, split="val", recipe="rescale")
    assert [path.name for path in out.iterdir()] == ["train"]
    (second / "renamed.png").unlink()
    compose_folder(second, out, count=2, split="val", recipe="rescale")


def test_tables_without_contents_are_compared_by_name(halves, tmp_path):
    out, (first, second) = tmp_path / "out", halves
    (out / "test").mkdir(parents=True)
    (out / "test" / "compositions.csv").write_text("image,host,donor\n0.png,photo01.png,holiday.png\n")
    compose_folder(first, out, count=1, split="train", recipe="rescale")
    with pytest.raises(UserError, match=r"photo01\.png: .*out/test was composed from it already, as photo01\.png"):
        compose_folder(second, out, count=1, split="val", recipe="rescale")
    (out / "test" / "compositions.csv").write_text("something,else\n1,2\n")
    with pytest.raises(UserError, match=r"compositions\.csv: has no column 'host'"):
        compose_folder(second, out, count=1, split="val", recipe="rescale")


def test_counts_can_be_given_per_split(photos, tmp_path):
    assert compose_folder(photos, tmp_path, count={"val": 1, "test": 0}, recipe="rescale") == {"val": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["val"]


def test_counts_add_up_to_what_was_asked_for(photos, tmp_path):
    assert compose_folder(photos, tmp_path / "some", count=6, recipe="rescale") == {"train": 4, "val": 1, "test": 1}
    assert compose_folder(photos, tmp_path / "one", count=1, recipe="rescale") == {"train": 1}


def test_large_photographs_are_cut_not_shrunk(tmp_path, photograph):
    for number in range(2):
        Image.fromarray(photograph(number, 80, 1500)).save(tmp_path / f"{number}.png")
    splice, host, *_ = Composer(find_sources(tmp_path), "test", 0, "rescale")(0)
    assert splice.image.shape == (80, 1024, 3)
    original = np.array(Image.open(host.photo))
    rows = [(original[0, left : left + 1024] == splice.image[0])[~splice.mask[0]].mean() for left in range(476)]
    assert max(rows) > 0.95


def fail(photos: Path, output: Path, match: str, **changed: Any) -> None:
    arguments: dict[str, Any] = {"count": 4, "split": "train", "recipe": "rescale"} | changed
    with pytest.raises(UserError, match=match):
        compose_folder(photos, output, **arguments)
    assert not output.exists() or not any(output.iterdir())


def test_mistakes_end_in_one_line_and_leave_nothing(photos, regions, tmp_path, photograph):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "out"
    fail(tmp_path / "missing", out, "missing: no such folder")
    fail(empty, out, "empty: no photographs")
    fail(photos, out, "recipe: 'nonsense' is none of .*rescale", recipe="nonsense")
    fail(photos, out, "split: 'all' is none of train, val, test", split="all")
    fail(photos, out, "count: -1", count={"train": -1})
    fail(photos, out, "count: no images", count=0)
    fail(photos, out, "seed: -2", seed=-2)
    fail(photos, out, "regions.*: no segmentations", regions=_folder(tmp_path / "regions", {}))
    others = _folder(tmp_path / "others", {"holiday.png": photograph(0)})
    fail(photos, out, "others: no segmentation of a photograph in .*photos", regions=others)
    fail(photos, out, "regions: 2 folders for 1 of photographs", regions=[regions, others])


def _folder(folder: Path, images: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_unusable_photographs_are_named(photos, regions, tmp_path, photograph):
    out = tmp_path / "out"
    one = _folder(tmp_path / "one", {"a.png": photograph(0)})
    fail(one, out, "one: 1 different photographs; at least 2")
    few = _folder(tmp_path / "few", {f"{i}.png": photograph(i) for i in range(5)})
    fail(few, out, "few: 5 different photographs; at least 6", split=None, count=20)
    unequal = _folder(tmp_path / "unequal", {f"{i}.png": photograph(i) for i in range(2)})
    labels = _folder(tmp_path / "labels", {f"{i}.png": np.ones((50, 60), np.uint8) for i in range(2)})
    fail(unequal, out, "png: 60 x 50 pixels, but .* has 120 x 96", regions=labels)
    colours = _folder(tmp_path / "colours", {f"{i}.png": photograph(i) for i in range(2)})
    fail(unequal, out, "one channel of region numbers", regions=colours)


def test_bad_photographs_are_left_out_and_named(tmp_path, photograph, capsys):
    folder = _folder(tmp_path / "in", {f"{i}.png": photograph(i) for i in range(3)} | {"d.png": photograph(1, 63, 70)})
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photograph")
    (folder / "._0.png").write_bytes(b"hidden")
    (folder / "notes.txt").write_text("text")
    assert compose_folder(folder, tmp_path / "out", count=2, split="train", recipe="rescale") == {"train": 2}
    said = capsys.readouterr().err
    assert f"warning: left out: {folder / 'b.jpg'}: broken or truncated" in said
    assert f"warning: left out: {folder / 'd.png'}: 70 x 63 pixels; at least 64 x 64 are needed" in said
    assert f"note: {folder}: 1 file that is no image was passed over (.txt 1)" in said and "._0" not in said
    bad = _folder(tmp_path / "bad", {})
    (bad / "b.jpg").write_bytes(b"text")
    fail(bad, tmp_path / "none", "bad: none of its photographs can be used; the lines above say why")


def test_an_output_that_holds_anything_is_left_alone(photos, tmp_path):
    (tmp_path / "keep").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        compose_folder(photos, tmp_path, count=10)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_run_can_be_started_again_and_its_leftovers_go(photos, tmp_path):
    out = tmp_path / "out"
    program = "import sys; from splice_jax.cli import main; main(sys.argv[1:])"
    arguments = ["compose", photos, "--output", out, "--count", "100000", "--recipe", "rescale", "--workers", "1"]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(out.glob(".train.*.partial/images/*"))) > 2)
    process.kill()
    process.wait()
    left = sorted(path.suffix for path in out.iterdir())
    assert left == [".lock", ".lock", ".lock", ".partial"]
    assert compose_folder(photos, out, count=10, recipe="rescale") == {"train": 8, "val": 1, "test": 1}
    assert sorted(path.name for path in out.iterdir()) == ["test", "train", "val"]
    assert len(list((out / "train" / "images").iterdir())) == 8


def test_a_photograph_that_changes_or_goes_meanwhile_is_named(photos, tmp_path):
    for number in range(2):
        shutil.copy(photos / f"photo0{number}.png", tmp_path)
    composer = Composer(find_sources(tmp_path), "test", 0, "rescale")
    composer(0)
    shutil.copy(photos / "photo05.png", tmp_path / "photo01.png")
    with pytest.raises(UserError, match=r"photo01\.png: has changed since composing began"):
        composer(0)
    (tmp_path / "photo01.png").unlink()
    with pytest.raises(UserError, match=r"photo01\.png: cannot be opened .no such file"):
        composer(0)


def test_a_broken_link_among_the_photographs_is_named(photos, tmp_path):
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    (folder / "gone.png").symlink_to("/nowhere/photo.png")
    fail(folder, tmp_path / "out", r"gone\.png: a link to /nowhere/photo\.png, which is not there")
    (folder / "gone.png").rename(folder / ".gone.png")
    assert len(find_sources(folder)) == 20


@pytest.mark.real_data
def test_splices_of_real_photographs(real_data, tmp_path):
    source = real_data / "bsds500" / "val"
    compose_folder(
        source / "photos", tmp_path, regions=source / "regions", count=3, split="val", recipe="histories", seed=1
    )
    for mask in (tmp_path / "val" / "masks").iterdir():
        assert 0.03 <= (np.array(Image.open(mask)) == 255).mean() <= 0.5
