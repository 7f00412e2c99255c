"""The folders of the paper's data sets as their owners hand them out, made up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REFERENCE = "reference/manipulation/NC2016-manipulation-ref.csv"
HEADER = (
    "TaskID|ProbeFileID|ProbeFileName|ProbeMaskFileName|DonorFileID|DonorFileName|DonorMaskFileName|IsTarget|"
    "ProbePostProcessed|DonorPostProcessed|ManipulationQuality|IsManipulationTypeRemoval|IsManipulationTypeSplice|"
    "IsManipulationTypeCopyClone|Collection|BaseFileName|Lighting|IsControl|CorrespondingControlFileName|"
    "SemanticConsistency"
)


def spliced(left: int) -> np.ndarray:
    """True where something was spliced into an image of 96 x 120."""
    mask = np.zeros((96, 120), bool)
    mask[20:50, left : left + 40] = True
    return mask


def edge_mask(mask: np.ndarray) -> np.ndarray:
    """Red and green, dark away from the border of the region and bright along it."""
    colours = np.where(mask[..., None], (0, 100, 0), (100, 0, 0)).astype(np.uint8)
    colours[15:55] = np.where(mask[15:55, :, None], (0, 255, 0), (255, 0, 0))
    return colours


@pytest.fixture
def columbia(tmp_path: Path, photograph: Callable[[int], np.ndarray]) -> Path:
    """Two splices, TIFF and BMP, with edge masks of another case, other pictures among these, two authentic images."""
    masks = tmp_path / "columbia" / "4cam_splc" / "edgemask"
    masks.mkdir(parents=True)
    (tmp_path / "columbia" / "4cam_auth").mkdir()
    for name, number in (("canong3_nikond70_sub_01.TIF", 0), ("canonxt_nikond70_sub_02.bmp", 1)):
        Image.fromarray(photograph(number)).save(masks.parent / name)
        picture = Image.fromarray(edge_mask(spliced(30 * number + 20)))
        picture.save(masks / f"{Path(name).stem.upper()}_edgemask.JPG", quality=75)
        picture.rotate(180).save(masks / f"{Path(name).stem}_edgemask_3.jpg")
    for number in (2, 3):
        Image.fromarray(photograph(number)).save(tmp_path / f"columbia/4cam_auth/canong3_{number:02}_sub_01.tif")
    (tmp_path / "columbia" / "README.txt").write_text("")
    return tmp_path / "columbia"


@pytest.fixture
def carvalho(tmp_path: Path, photograph: Callable[[int], np.ndarray]) -> Path:
    """Two splices, the second with a mask of half the size, and an authentic image."""
    root = tmp_path / "carvalho" / "tifs-database"
    for folder in ("DSO-1", "DSO-1-Fake-Images-Masks", "DSI-1", "__MACOSX/DSO-1"):
        (root / folder).mkdir(parents=True)
    for number in (1, 2):
        Image.fromarray(photograph(number)).save(root / f"DSO-1/splicing-{number:02}.png")
        mask = Image.fromarray(~spliced(30)).convert("RGB")
        mask = mask.resize((120 // number, 96 // number), Image.Resampling.NEAREST)
        mask.save(root / f"DSO-1-Fake-Images-Masks/splicing-{number:02}.png")
    Image.fromarray(photograph(3)).save(root / "DSO-1/normal-01.png")
    return tmp_path / "carvalho"


def nc2016_row(probe: str, mask: str, kind: str, base: str = "", control: str = "") -> str:
    """A line of the reference; `kind` is one of splice, removal, clone and authentic."""
    flags = "|".join("Y" if kind == name else "N" for name in ("removal", "splice", "clone"))
    target = "N" if kind == "authentic" else "Y"
    return f"Manipulation|x|{probe}|{mask}||||{target}|none|||{flags}|Nimble-SCI|{base}|same|N|{control}|"


@pytest.fixture
def nc2016(tmp_path: Path, photograph: Callable[[int], np.ndarray]) -> Path:
    """Two splices of one photograph, another one, a removal, and two authentic probes, one a control."""
    root = tmp_path / "nc2016" / "NC2016_Test0613"
    (root / "probe").mkdir(parents=True)
    (root / "reference/manipulation/mask").mkdir(parents=True)
    lines = [HEADER, nc2016_row("probe/N_5.jpg", "", "authentic"), nc2016_row("probe/N_6.jpg", "", "authentic")]
    for number, kind, base in ((1, "splice", "a"), (2, "splice", "a"), (3, "splice", "b"), (4, "removal", "b")):
        mask = f"reference/manipulation/mask/M_{number}.png"
        control = "probe/N_5.jpg" if base == "a" else ""
        lines.append(nc2016_row(f"probe/N_{number}.jpg", mask, kind, f"world/{base}.jpg", control))
        Image.fromarray(~spliced(10 * number)).convert("L").save(root / mask)
    for number in range(1, 7):
        Image.fromarray(photograph(number)).save(root / f"probe/N_{number}.jpg", quality=90)
    (root / REFERENCE).write_text("\n".join(lines) + "\n")
    return tmp_path / "nc2016"
