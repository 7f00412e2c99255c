from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data.sets import splits, verify
from splice_jax.data.sets.builders import manual_builder
from splice_jax.data.sets.builders.manual import Published
from splice_jax.data.sets.preparation import prepare_manual
from splice_jax.data.sets.verify import NOTE, OK, WRONG, Finding
from splice_jax.errors import UserError

NUMBER = 20


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 128, 3), np.uint8)


def dso(folder: Path, *, inverted: bool = False) -> Path:
    """Twenty splices and twenty authentic images in the form of DSO-1."""
    (folder / "DSO-1").mkdir(parents=True)
    (folder / "DSO-1-Fake-Images-Masks").mkdir()
    for number in range(NUMBER):
        Image.fromarray(noise(number)).save(folder / f"DSO-1/splicing-{number:02}.png")
        Image.fromarray(noise(100 + number)).save(folder / f"DSO-1/normal-{number:02}.png")
        spliced = np.zeros((64, 128), bool)
        spliced[10:40, 20:60] = True
        Image.fromarray(spliced == inverted).save(folder / f"DSO-1-Fake-Images-Masks/splicing-{number:02}.png")
    return folder


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.verdict for finding in findings}


def wrong(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if finding.verdict == WRONG}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Finding]]:
    folder = dso(tmp_path_factory.mktemp("dso"))
    data = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        published = Published(NUMBER, NUMBER, True, "this test", ((128, 64), (128, 64)))
        patch.setattr("splice_jax.data.sets.builders.carvalho.Carvalho.PUBLISHED", published)
        return data, prepare_manual("carvalho", folder, str(data))


def test_a_whole_set_has_nothing_wrong(prepared: tuple[Path, list[Finding]]) -> None:
    _, findings = prepared
    assert set(verdicts(findings).values()) == {OK}
    found = {finding.check: finding.found for finding in findings}
    assert found["spliced images"] == found["authentic images"] == "20"
    assert found["sizes"] == "128x64, 1 different"
    assert found["spliced share"] == "14.6% to 14.6%, mean 14.6%"
    assert found["seed 4"] == "train 13 (65%), val 2 (10%), test 5 (25%)"
    assert "seed 5" not in found
    verify.require_nothing_wrong(findings, "carvalho")


def test_other_numbers_than_the_published_are_wrong(prepared: tuple[Path, list[Finding]]) -> None:
    findings = verify.verify("carvalho", str(prepared[0]))
    assert wrong(findings) == {"spliced images", "authentic images"}
    with pytest.raises(UserError, match="^carvalho: wrong are spliced images, authentic images; the table says"):
        verify.require_nothing_wrong(findings, "carvalho")


def test_other_numbers_are_noted_where_copies_differ() -> None:
    images = [splits.Surveyed("whole", "a", (64, 64), 0.1, "1")]
    counts = verify._counts(manual_builder("nc2016", "somewhere"), images)
    assert [finding.verdict for finding in counts] == [NOTE, NOTE]


def test_the_table_is_in_columns(prepared: tuple[Path, list[Finding]]) -> None:
    lines = verify.table(prepared[1]).splitlines()
    assert lines[0].split() == ["check", "found", "expected", "verdict"]
    column = lines[0].index("verdict")
    assert all(line[column:] in (OK, NOTE, WRONG) for line in lines[2:]) and len(lines) == len(prepared[1]) + 2


def test_inverted_masks_are_found(tmp_path: Path) -> None:
    findings = prepare_manual("carvalho", dso(tmp_path / "dso", inverted=True), str(tmp_path / "data"))
    assert {"spliced share"} <= wrong(findings)
    assert verdicts(findings)["mostly spliced"] == NOTE


def test_damage_is_found(prepared: tuple[Path, list[Finding]]) -> None:
    data = prepared[0]
    images = splits.survey(manual_builder("carvalho", str(data)))
    one = images[3]
    images[3] = splits.Surveyed(one.part, one.name, one.size, one.share, "another", one.photographs, one.patches)
    images[5] = splits.Surveyed("whole", "splicing-05", problem="splicing-05: broken")
    findings = verify.verify("carvalho", str(data), images)
    assert {"changed since prepared", "unreadable"} <= wrong(findings)
    found = {finding.check: finding.found for finding in findings}
    assert found["unreadable"] == "1: splicing-05: broken"
    assert found["changed since prepared"] == "2: splicing-03, splicing-05"


def test_a_broken_file_of_a_prepared_set_is_unreadable(tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare_manual("carvalho", dso(tmp_path / "dso"), str(data))
    (file,) = (data / "carvalho" / "1.0.0").glob("carvalho-whole.array_record*")
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    file.write_bytes(content)
    findings = verify.verify("carvalho", str(data))
    assert {"unreadable", "changed since prepared"} <= wrong(findings)


def test_a_leaking_split_of_ones_own_is_found(prepared: tuple[Path, list[Finding]]) -> None:
    builder = manual_builder("carvalho", str(prepared[0]))
    images = splits.survey(builder)
    twin = images[0]
    images[0] = splits.Surveyed("whole", twin.name, twin.size, twin.share, twin.content, ("x",), twin.patches)
    images[1] = splits.Surveyed("whole", images[1].name, twin.size, twin.share, twin.content, ("x",), twin.patches)
    where = ["train", "test", *(["train"] * (len(images) - 2))]
    assert [finding.found for finding in verify._apart("x", images, where)] == ["1", "2", "1"]
    assert not wrong(verify._apart("x", images, ["train"] * len(images)))
    assert verdicts(verify._twins(images)) == {"same pixels": NOTE}


def test_folders_are_verified_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mask = np.zeros((64, 128), np.uint8)
    mask[10:40, 20:60] = 255
    for split, seeds in {"train": (0, 1), "test": (2, 3)}.items():
        for kind in ("images", "masks"):
            (tmp_path / "set" / split / kind).mkdir(parents=True)
        for place, seed in enumerate(seeds):
            Image.fromarray(noise(seed)).save(tmp_path / f"set/{split}/images/{place}.png")
            Image.fromarray(mask).save(tmp_path / f"set/{split}/masks/{place}.png")
    folder = str(tmp_path / "set")
    findings = verify.verify("folder", folder)
    assert not wrong(findings) and verdicts(findings)["spliced images"] == OK
    (tmp_path / "set/test/authentic").mkdir()
    Image.fromarray(noise(0)).save(tmp_path / "set/test/authentic/9.png")
    findings = verify.verify("folder", folder)
    assert wrong(findings) == {"splits: shared images", "splits: shared patches"}
    assert verdicts(findings)["same pixels"] == NOTE


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images in each of two splits, and of what they were composed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mask = np.zeros((64, 128), np.uint8)
    mask[10:40, 20:60] = 255
    for number, split in enumerate(("train", "val")):
        for kind in ("images", "masks"):
            (tmp_path / "set" / split / kind).mkdir(parents=True)
        Image.fromarray(noise(number)).save(tmp_path / f"set/{split}/images/0.png")
        Image.fromarray(mask).save(tmp_path / f"set/{split}/masks/0.png")
    return tmp_path / "set"


def write_compositions(folder: Path, contents: dict[str, str]) -> None:
    for split, line in contents.items():
        header = "image,host,donor,host_content,donor_content" if line.count(",") == 4 else "image,host,donor"
        (folder / split / "compositions.csv").write_text(f"{header}\n{line}\n")


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        ("0.png,a.png,b.png,1,2", "0.png,a.png,c.png,3,4", {"splits: shared hosts or donors": ("0", OK)}),
        (
            "0.png,a.png,b.png,1,2",
            "0.png,d.png,c.png,2,4",
            {"splits: shared hosts or donors": ("1: b.png = d.png", WRONG)},
        ),
        (
            "0.png,a.png,b.png",
            "0.png,c.png,b.png,2,4",
            {"splits: shared hosts or donors": ("0", OK), "of the same name": ("1: b.png", NOTE)},
        ),
    ],
)
def test_hosts_and_donors_of_composed_splits_are_compared(
    composed: Path, train: str, val: str, expected: dict[str, tuple[str, str]]
) -> None:
    write_compositions(composed, {"train": train, "val": val})
    found = {finding.check: (finding.found, finding.verdict) for finding in verify.verify("folder", str(composed))}
    assert {
        check: found.get(check) for check in ("splits: shared hosts or donors", "of the same name") if check in found
    } == expected


def test_a_broken_table_of_compositions_is_wrong_and_none_is_no_matter(composed: Path) -> None:
    assert (
        not {"splits: shared hosts or donors", "compositions"} & verdicts(verify.verify("folder", str(composed))).keys()
    )
    (composed / "val" / "compositions.csv").write_bytes(b"image,host,donor\n\xff\xfe,\xff,b\n")
    assert "compositions" not in wrong(verify.verify("folder", str(composed)))  # Names need not be UTF-8.
    (composed / "val" / "compositions.csv").write_bytes(b"image,host\n0.png,a\n")
    findings = verify.verify("folder", str(composed))
    assert wrong(findings) == {"compositions"}
