from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.sets.builders.base import Record
from splice_jax.data.sets.builders.nc2016 import Nc2016
from splice_jax.errors import UserError
from splice_jax.images import read_image, read_mask
from tests.data.sets.builders.making import made

ROOT = "NC2016_Test0613"
REFERENCE = f"{ROOT}/reference/manipulation/NC2016-manipulation-ref.csv"


def read(folder: Path, tmp_path: Path) -> dict[str, list[Record]]:
    return made(Nc2016(tmp_path / "out", folder))


def fail(folder: Path, tmp_path: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        read(folder, tmp_path)
    assert "\n" not in str(caught.value)


def replace(folder: Path, old: str, new: str) -> None:
    text = (folder / REFERENCE).read_text()
    assert old in text
    (folder / REFERENCE).write_text(text.replace(old, new))


def test_splices_and_authentic_probes_alone_are_read(nc2016: Path, tmp_path: Path) -> None:
    records = read(nc2016, tmp_path)
    assert [record.name for record in records["whole"]] == ["N_1", "N_2", "N_3"]
    assert [record.name for record in records["whole_authentic"]] == ["N_5", "N_6"]
    for record in (*records["whole"], *records["whole_authentic"]):
        assert record.image == (nc2016 / ROOT / f"probe/{record.name}.jpg").read_bytes()
    for number, record in enumerate(records["whole"], 1):
        expected = np.zeros((96, 120), bool)
        expected[20:50, 10 * number : 10 * number + 40] = True
        np.testing.assert_array_equal(read_mask(record.mask), expected)


def test_what_was_made_from_one_photograph_is_told(nc2016: Path, tmp_path: Path) -> None:
    records = read(nc2016, tmp_path)
    first, second, third = (set(record.photographs.split("\n")) for record in records["whole"])
    control = set(records["whole_authentic"][0].photographs.split("\n"))
    assert first & second == {"world/a.jpg", "probe/n_5.jpg"}
    assert first & control == {"probe/n_5.jpg"}
    assert not third & (first | second)


def test_other_cases_and_separators_are_found(nc2016: Path, tmp_path: Path) -> None:
    expected = read(nc2016, tmp_path)["whole"][0]
    replace(nc2016, "probe/N_1.jpg", "Probe\\n_1.JPG")
    assert read(nc2016, tmp_path)["whole"][0].image == expected.image


def test_a_probe_in_two_rows_is_spliced_where_either_says(nc2016: Path, tmp_path: Path) -> None:
    replace(nc2016, "probe/N_2.jpg", "probe/N_1.jpg")
    records = read(nc2016, tmp_path)["whole"]
    assert [record.name for record in records] == ["N_1", "N_3"]
    expected = np.zeros((96, 120), bool)
    expected[20:50, 10:60] = True
    np.testing.assert_array_equal(read_mask(records[0].mask), expected)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_picture_is_turned_with_it(orientation: int, nc2016: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    black = np.full((96, 120, 3), 255, np.uint8)
    black[20:50, 10:50] = 0
    Image.fromarray(black).save(nc2016 / ROOT / "probe/N_1.jpg", quality=95, exif=exif)
    record = read(nc2016, tmp_path)["whole"][0]
    seen = read_image(record.image)[..., 1] < 128
    assert seen.shape == (120, 96)
    assert np.mean(seen != read_mask(record.mask)) < 0.01


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "/etc/hostname", "probe/../../secret.jpg", "C:\\secret.jpg", "probe/link.jpg", "away/secret.jpg"],
)
def test_no_path_leads_out_of_the_folder(name: str, nc2016: Path, tmp_path: Path) -> None:
    secret = nc2016 / "secret.jpg"
    secret.write_bytes((nc2016 / ROOT / "probe/N_1.jpg").read_bytes())
    (nc2016 / ROOT / "probe/link.jpg").symlink_to(secret)
    (nc2016 / ROOT / "away").symlink_to(nc2016)
    replace(nc2016, "probe/N_1.jpg", name)
    fail(nc2016, tmp_path, "NC2016-manipulation-ref.csv, line 4: .*(no path within|leads out of) the data set")


def test_broken_references_are_named(nc2016: Path, tmp_path: Path) -> None:
    replace(nc2016, "IsManipulationTypeSplice", "IsManipulationTypeSpliced")
    fail(nc2016, tmp_path, r"has no column IsManipulationTypeSplice; its columns, separated by \|, are TaskID")
    replace(nc2016, "|", ",")
    fail(nc2016, tmp_path, "has no column ProbeFileName, ProbeMaskFileName, IsTarget")
    (nc2016 / REFERENCE).write_bytes(b"\xff\xfe\x00|")
    fail(nc2016, tmp_path, "ref.csv: cannot be read")
    (nc2016 / REFERENCE).unlink()
    fail(nc2016, tmp_path, "ref.csv: cannot be read")


def test_missing_files_and_no_splices_are_named(nc2016: Path, tmp_path: Path) -> None:
    (nc2016 / ROOT / "reference/manipulation/mask/M_2.png").unlink()
    fail(nc2016, tmp_path, r"line 5: reference/manipulation/mask/M_2\.png is missing")
    replace(nc2016, "|N|Y|N|", "|Y|N|N|")
    fail(nc2016, tmp_path, "lists no splice")


def test_a_truncated_jpeg_and_a_mask_of_another_size_are_named(nc2016: Path, tmp_path: Path) -> None:
    mask = nc2016 / ROOT / "reference/manipulation/mask/M_1.png"
    Image.new("L", (96, 120)).save(mask)  # the image is not one that is to be turned
    fail(nc2016, tmp_path, r"M_1\.png: 96 x 120 pixels, but N_1\.jpg has 120 x 96")
    probe = nc2016 / ROOT / "probe/N_1.jpg"
    probe.write_bytes(probe.read_bytes()[:2000])
    fail(nc2016, tmp_path, r"N_1\.jpg: broken or truncated")
