"""Composing by recipes that make authentic images too, from photographs of which some have segmentations."""

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splice_jax.data import open_split
from splice_jax.data.composing.compose import Composer, compose_folder
from splice_jax.data.composing.recipes import MIXTURES, RECIPES
from splice_jax.data.composing.sources import find_sources


@pytest.fixture(scope="module")
def larger(photograph, tmp_path_factory) -> tuple[Path, Path]:
    """Eight JPEG photographs of 200 x 160 pixels, of which three have segmentations."""
    photos, regions = tmp_path_factory.mktemp("larger"), tmp_path_factory.mktemp("some_regions")
    squares = (np.arange(160)[:, None] // 40 * 4 + np.arange(200) // 50 + 1).astype(np.uint8)
    for number in range(8):
        Image.fromarray(photograph(number, 160, 200)).save(photos / f"{number}.jpg", quality=85 + number)
        if number < 3:
            Image.fromarray(squares).save(regions / f"{number}.png")
    return photos, regions


COUNT = 24


@pytest.fixture(scope="module")
def composed(larger, tmp_path_factory) -> Path:
    photos, regions = larger
    output = tmp_path_factory.mktemp("mixed") / "new"
    compose_folder(photos, output, regions=regions, count=COUNT, seed=1, recipe="wild", split="train", progress=False)
    return output / "train"


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "compositions.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_authentic_images_stand_beside_spliced_ones(composed) -> None:
    table = rows(composed)
    assert len(table) == COUNT and {row["recipe"] for row in table} <= set(MIXTURES["wild"])
    spliced = [row["image"] for row in table if float(row["share"]) > 0]
    without = [row["image"] for row in table if float(row["share"]) == 0]
    assert names(composed / "images") == spliced and len(spliced) > 8
    assert names(composed / "masks") == [name.split(".")[0] + ".png" for name in spliced]
    twins = [row["image"] for row in table if row["recipe"] == "jitter"]
    assert twins and without and names(composed / "authentic") == sorted(without + twins)
    kinds = {row["image"]: RECIPES[row["recipe"]].kind for row in table}
    assert all(kinds[name] in ("authentic", "untouched") for name in without)
    assert all((row["host"] == row["donor"]) == (kinds[row["image"]] != "splice") for row in table)


def test_untouched_photographs_are_their_files(larger, tmp_path) -> None:
    compose_folder(larger[0], tmp_path / "out", count=4, split="val", recipe="untouched", progress=False)
    assert not names(tmp_path / "out/val/images")
    for row in rows(tmp_path / "out/val"):
        assert (tmp_path / "out/val/authentic" / row["image"]).read_bytes() == (larger[0] / row["host"]).read_bytes()


def test_a_jittered_image_and_its_twin_differ_in_the_mask(composed) -> None:
    for row in rows(composed):
        if row["recipe"] == "jitter" and row["jpeg_quality"] == "0":
            image, twin = (np.array(Image.open(composed / kind / row["image"])) for kind in ("images", "authentic"))
            mask = np.array(Image.open(composed / "masks" / (row["image"].split(".")[0] + ".png"))) > 0
            changed = (image != twin).any(-1)
            assert changed[mask].mean() > changed[~mask].mean()


def test_it_is_a_folder_data_set_with_authentic_images(composed) -> None:
    split = open_split("folder", str(composed.parent), "train", include_authentic=True)
    found = [(example.authentic, bool(example.mask.any())) for example in split]
    assert found == sorted(found) and set(found) == {(False, True), (True, False)}
    assert len(found) == len(names(composed / "images")) + len(names(composed / "authentic"))


def test_images_depend_on_seed_split_and_index_alone(larger) -> None:
    sources = find_sources(*larger)
    compose = Composer(sources, "train", 1, "wild")
    for index in range(6):
        first, again = compose(index), Composer(sources, "train", 1, "wild")(index)
        assert (first.recipe, first.host, first.donor) == (again.recipe, again.host, again.donor)
        assert first.splice.encoded_image() == again.splice.encoded_image() and first.splice.twin == again.splice.twin
    for other in (Composer(sources, "val", 1, "wild"), Composer(sources, "train", 2, "wild")):
        files = [(compose(index).splice.encoded_image(), other(index).splice.encoded_image()) for index in range(6)]
        assert any(one != two for one, two in files)


def test_recipes_occur_as_often_as_the_mixture_says(larger, monkeypatch) -> None:
    compose = Composer(find_sources(larger[0]), "train", 0, "wild")
    drawn = [compose._recipe(np.random.default_rng((0, 0, index))) for index in range(3000)]
    for name, share in MIXTURES["wild"].items():
        assert drawn.count(name) / 3000 == pytest.approx(share, abs=0.03)


def test_a_recipe_without_authentic_images_makes_no_folder_for_them(larger, tmp_path) -> None:
    compose_folder(larger[0], tmp_path / "out", count=2, split="val", recipe="light", progress=False)
    assert names(tmp_path / "out" / "val") == ["compositions.csv", "images", "masks"]


def test_photographs_of_several_folders_and_of_one_half(larger, photos, regions, tmp_path) -> None:
    folders: Any = [larger[0], photos]
    options: dict[str, Any] = {"regions": [larger[1], regions], "half": 1, "recipe": "light", "progress": False}
    compose_folder(folders, tmp_path / "out", count=8, split="train", **options)
    used = {row[role] for row in rows(tmp_path / "out" / "train") for role in ("host", "donor")}
    allowed = {source.photo.name for source in find_sources(folders, half=1)}
    assert used <= allowed and {Path(name).suffix for name in used} == {".jpg", ".png"}


def test_a_photograph_in_two_folders_is_in_one_split(larger, tmp_path) -> None:
    copies = Path(shutil.copytree(larger[0], tmp_path / "copies"))
    for path in list(copies.iterdir()):
        path.rename(copies / f"copy_of_{path.name}")
    compose_folder([larger[0], copies], tmp_path / "out", count=30, recipe="light", progress=False)
    contents = [
        {row[role] for row in rows(tmp_path / "out" / split) for role in ("host_content", "donor_content")}
        for split in ("train", "val", "test")
    ]
    assert not (contents[0] & contents[1] or contents[0] & contents[2] or contents[1] & contents[2])


def test_the_file_of_a_splice_is_what_is_said_of_it(composed) -> None:
    for row in rows(composed):
        folder = composed / ("images" if float(row["share"]) > 0 else "authentic")
        file = (folder / row["image"]).read_bytes()
        assert file.startswith(b"\xff\xd8") == row["image"].endswith(".jpg")
        if row["jpeg_quality"] != "0":
            assert Image.open(io.BytesIO(file)).format == "JPEG"
