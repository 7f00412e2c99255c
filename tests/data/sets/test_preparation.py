from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splice_jax.data import open_split
from splice_jax.data.sets.builders import MANUAL
from splice_jax.data.sets.preparation import prepare_manual
from splice_jax.errors import UserError


@pytest.mark.parametrize("dataset", MANUAL)
def test_without_a_folder_it_is_said_where_to_get_one(
    dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, match in ((None, "--manual-dir: is missing"), (tmp_path / "none", "none is no folder")):
        with pytest.raises(UserError, match=match) as caught:
            prepare_manual(dataset, folder, str(tmp_path / "data"))
        assert "\n" not in str(caught.value)
        said = capsys.readouterr().out
        assert said.startswith(MANUAL[dataset].TITLE)
        for word in ("Where:", "Folder:", "Terms:", f"splice-jax prepare {dataset} --manual-dir=DIR"):
            assert word in said
    assert not (tmp_path / "data").exists()


def test_other_data_sets_are_refused() -> None:
    with pytest.raises(UserError, match="synthetic: cannot be prepared from a folder; choose one of columbia"):
        prepare_manual("synthetic", None)


@pytest.fixture
def nc2016(tmp_path: Path) -> Path:
    """Twenty splices of ten photographs, and an authentic probe of each: related by the reference alone."""
    folder = tmp_path / "NC2016"
    (folder / "probe").mkdir(parents=True)
    (folder / "reference/manipulation/mask").mkdir(parents=True)
    columns = ("ProbeFileName", "ProbeMaskFileName", "IsTarget", "IsManipulationTypeSplice", "BaseFileName")
    lines = ["|".join(columns)]
    for number in range(30):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"probe/{number}.jpg")
        mask = ""
        if number < 20:
            mask = f"reference/manipulation/mask/{number}.png"
            Image.fromarray(np.arange(64 * 64).reshape(64, 64) > 700).save(folder / mask)
        base = f"world/{number % 10}.jpg"
        lines.append(f"probe/{number}.jpg|{mask}|{'Y' if mask else 'N'}|{'Y' if mask else 'N'}|{base}")
    (folder / "reference/manipulation/NC2016-manipulation-ref.csv").write_text("\n".join(lines))
    return folder


def test_splices_of_one_photograph_stay_in_one_split(
    nc2016: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "data")
    findings = prepare_manual("nc2016", nc2016, data)
    assert {finding.verdict for finding in findings} == {"ok", "note"}
    for seed in range(5):
        of_split = {
            split: {
                int(example.name) % 10
                for example in open_split("nc2016", data, split, split_seed=seed, include_authentic=True)
            }
            for split in ("train", "val", "test")
        }
        assert sorted(base for bases in of_split.values() for base in bases) == list(range(10))
    capsys.readouterr()
    assert prepare_manual("nc2016", None, data) == findings  # the owners' folder is not needed any more
    assert "prepared before; delete it to prepare it anew" in capsys.readouterr().err


def test_a_broken_file_leaves_nothing(nc2016: Path, tmp_path: Path) -> None:
    probe = nc2016 / "probe/19.jpg"
    probe.write_bytes(probe.read_bytes()[:500])
    with pytest.raises(UserError, match=r"19\.jpg: broken or truncated"):
        prepare_manual("nc2016", nc2016, str(tmp_path / "data"))
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
    with pytest.raises(UserError, match="nc2016 is not prepared there"):
        open_split("nc2016", str(tmp_path / "data"), "train")


@pytest.mark.parametrize("name", ["probe/19.jpg", "reference/manipulation/mask/3.png"])
def test_a_broken_link_is_named(name: str, nc2016: Path, tmp_path: Path) -> None:
    (nc2016 / name).unlink()
    (nc2016 / name).symlink_to("gone")
    with pytest.raises(UserError, match=f"{name}: a link to gone, which is not there") as caught:
        prepare_manual("nc2016", nc2016, str(tmp_path / "data"))
    assert "\n" not in str(caught.value)
