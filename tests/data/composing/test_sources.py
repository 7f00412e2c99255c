import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.composing.sources import Source, cut, find_sources, read_source, untouched
from splice_jax.errors import UserError


@pytest.fixture
def two(photos, tmp_path) -> list[Path]:
    """Two folders of eight and five photographs, of which one lies in both under two names."""
    for number, path in enumerate(sorted(photos.iterdir())[:12]):
        folder = tmp_path / ("first" if number < 8 else "second")
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder / path.name)
    shutil.copy(tmp_path / "first" / "photo03.png", tmp_path / "second" / "also.png")
    return [tmp_path / "first", tmp_path / "second"]


def test_a_photograph_in_several_folders_counts_once(two) -> None:
    found = find_sources(two)
    assert [source.photo.name for source in found] == [f"photo{number:02d}.png" for number in range(12)]
    assert len({source.content for source in found}) == 12
    assert [source.photo.name for source in find_sources(two[::-1])][:2] == ["also.png", "photo08.png"]


def test_each_folder_has_segmentations_of_its_own_and_some_may_miss(two, regions, tmp_path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for number in (8, 11):
        shutil.copy(regions / f"photo{number:02d}.png", some)
    found = find_sources(two, [regions, some])
    assert [source.regions.parent if source.regions else None for source in found] == (
        [regions] * 8 + [some, None, None, some]
    )
    with pytest.raises(UserError, match="regions: 1 folders for 2 of photographs; give as many"):
        find_sources(two, regions)


def test_halves_share_no_photograph_and_are_all_of_them(photos) -> None:
    halves = [find_sources(photos, half=half) for half in (0, 1)]
    assert set(halves[0]) | set(halves[1]) == set(find_sources(photos)) and not set(halves[0]) & set(halves[1])
    for half, sources in enumerate(halves):
        assert len(sources) > 3
        assert {hashlib.sha256(source.photo.name.encode()).digest()[0] % 2 for source in sources} == {half}


def test_a_half_without_photographs_is_named(photos, tmp_path) -> None:
    name = find_sources(photos, half=1)[0].photo
    shutil.copy(name, tmp_path)
    assert len(find_sources(tmp_path, half=1)) == 1
    with pytest.raises(UserError, match="half: 0 holds none of 1 photographs"):
        find_sources(tmp_path, half=0)


def test_a_crop_may_start_on_the_grid_of_blocks() -> None:
    places = np.moveaxis(np.mgrid[:100, :120], 0, -1)
    corners = [cut(places, (40, 50), np.random.default_rng(seed), 1.0)[0, 0] for seed in range(40)]
    assert not np.any(np.array(corners) % 8) and len({tuple(corner) for corner in corners}) > 20
    anywhere = [cut(places, (40, 50), np.random.default_rng(seed))[0, 0] for seed in range(40)]
    assert np.any(np.array(anywhere) % 8)
    np.testing.assert_array_equal(cut(places, (200, 200), np.random.default_rng(0), 1.0), places)


def test_a_photograph_and_its_segmentation_are_cropped_alike(photos, tmp_path) -> None:
    image = np.asarray(Image.open(photos / "photo00.png"))
    numbers = (np.arange(96)[:, None] * 120 + np.arange(120)).astype(np.uint16)
    Image.fromarray(numbers).save(tmp_path / "photo00.png")
    source = Source(photos / "photo00.png", find_sources(photos)[0].content, tmp_path / "photo00.png")
    part, regions = read_source(source, np.random.default_rng(0), 64)
    assert regions is not None and part.shape == (64, 64, 3)
    rows, columns = np.divmod(regions, 120)
    np.testing.assert_array_equal(part, image[rows, columns])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_untouched_is_a_jpeg_s_own_file_and_the_pixels_of_any_other(photograph, tmp_path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"quality": 83, "exif": exif} if kind == "JPEG" else {}
    Image.fromarray(photograph(0)).save(tmp_path / "a", kind, **options)
    file = (tmp_path / "a").read_bytes()
    splice = untouched(Source(tmp_path / "a", ""))
    assert not splice.mask.any() and splice.twin is None
    if kind == "JPEG":
        assert splice.encoded_image() == file and splice.mask.shape == (120, 96)  # upright
    else:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(splice.encoded_image()))), photograph(0))
