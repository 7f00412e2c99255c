"""The data set `columbia`: the Columbia Uncompressed Image Splicing Detection Evaluation Dataset.

Y.-F. Hsu and S.-F. Chang, "Detecting Image Splicing Using Geometry Invariants and Camera Characteristics Consistency",
ICME 2006. 180 spliced and 183 authentic images, TIFF or BMP, of four cameras.

The edge masks are colour JPEGs, with dark and bright red for the host and dark and bright green for the spliced part:
pixels with more green than red are spliced. Some green alone means nothing, since JPEG ringing spreads green into red.
The edgemask folder may also hold other pictures, such as NAME_edgemask_3.jpg; they are ignored.
"""

from pathlib import Path

import numpy as np

from splice_jax.data.sets.builders.base import Note
from splice_jax.data.sets.builders.manual import (
    WHOLE_COPY,
    ManualBuilder,
    Mask,
    Published,
    Source,
    entries,
    files,
    folder_with,
    refuse_missing,
)
from splice_jax.data.sets.builders.oriented import refuse_other_size
from splice_jax.errors import UserError
from splice_jax.images import Picture, read_image

SPLICED, AUTHENTIC_IMAGES, MASKS = "4cam_splc", "4cam_auth", "edgemask"
SUFFIXES = (".tif", ".tiff", ".bmp")
CLEAR, CLEAR_SHARE = 40, 0.9
"""In an edge mask, red and green differ by at least this many levels in at least this share of the pixels."""


class Columbia(ManualBuilder):
    """Builder of `columbia`."""

    VERSION = "1.0.0"
    TITLE = "Columbia Uncompressed Image Splicing Detection Evaluation Dataset"
    INSTRUCTIONS = """\
Where:  the owners' page, http://www.ee.columbia.edu/ln/dvmm/downloads/authsplcuncmp/ (DVMM Laboratory, Columbia
        University): 4cam_splc and 4cam_auth, two archives. The smaller grey set of 128 x 128 blocks is another one.
Folder: DIR/4cam_splc/*.tif or *.bmp, DIR/4cam_auth/*.tif, and the masks NAME_edgemask.jpg in an edgemask folder
        inside 4cam_splc or beside it.
Terms:  research use only, no redistribution, credit to the DVMM Laboratory, as far as we know; the owners' page
        decides. Cite Hsu & Chang, ICME 2006."""
    PUBLISHED = Published(180, 183, True, "the owners' page", ((757, 568), (1152, 768)))

    def sources(self, folder: Path) -> list[Source]:
        """Spliced images with their edge masks, then authentic ones."""
        root = folder_with(folder, SPLICED)
        inside = entries(root)
        spliced_folder = _nested(inside[SPLICED])
        if AUTHENTIC_IMAGES not in inside:
            raise UserError(f"{root}: holds no folder {AUTHENTIC_IMAGES}; unpack the authentic images there as well")
        masks = _masks(root, spliced_folder)
        images = files(spliced_folder, SUFFIXES, "images")
        names = {image: f"{image.stem}_edgemask.jpg" for image in images}
        refuse_missing([name for name in names.values() if name.lower() not in masks], spliced_folder / MASKS)
        spliced = [Source(image, (masks[name.lower()],)) for image, name in names.items()]
        return spliced + [Source(image) for image in files(_nested(inside[AUTHENTIC_IMAGES]), SUFFIXES, "images")]

    def read_spliced(self, mask: Path, image: Path, picture: Picture) -> tuple[Mask, tuple[Note, ...]]:
        """True where an edge mask is more green than red."""
        colours = read_image(mask).astype(np.int16)
        red, green = colours[..., 0], colours[..., 1]
        if np.mean(np.abs(green - red) >= CLEAR) < CLEAR_SHARE:
            raise UserError(f"{mask}: not an edge mask in red and green; put the owners' file there")
        spliced = green > red
        refuse_other_size(spliced, mask, image, (picture.pixels.shape[0], picture.pixels.shape[1]), WHOLE_COPY)
        return spliced, ()


def _nested(folder: Path) -> Path:
    """Some copies hold 4cam_splc/4cam_splc."""
    inner = entries(folder).get(folder.name.lower())
    return inner if inner is not None and inner.is_dir() else folder


def _masks(root: Path, spliced_folder: Path) -> dict[str, Path]:
    """All mask files by lower-case name, wherever the edgemask folder is."""
    for place in (spliced_folder, spliced_folder.parent, root):
        folder = entries(place).get(MASKS)
        if folder is not None and folder.is_dir():
            return entries(folder)
    raise UserError(f"{spliced_folder}: no folder {MASKS} inside or beside it; unpack the masks there")
