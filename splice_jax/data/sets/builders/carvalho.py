"""The data set `carvalho`: DSO-1, composites of people, each with a mask.

T. Carvalho, C. Riess, E. Angelopoulou, H. Pedrini and A. Rocha, "Exposing Digital Image Forgeries by Illumination Color
Classification", IEEE TIFS 8(7), 2013. 100 spliced and 100 authentic images of 2048 x 1536, PNG, kept byte for byte.

In the masks, black is spliced. A mask that differs in size is resampled to its image by nearest neighbour, which
invents no grey: training needs the two aligned, an image resized to its mask would lose its traces, and maps are scored
at the image's size. A mask with other proportions is rejected, because it could not be aligned.
"""

from pathlib import Path

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
from splice_jax.images import Picture, nearest, read_mask

IMAGES, MASKS = "DSO-1", "DSO-1-Fake-Images-Masks"
SPLICED, AUTHENTIC_IMAGES = "splicing", "normal"
TOLERANCE = 0.01
"""How much a mask's proportions may differ from its image's."""


class Carvalho(ManualBuilder):
    """Builder of `carvalho`."""

    VERSION = "1.0.0"
    TITLE = "DSO-1 by Carvalho et al."
    INSTRUCTIONS = """\
Where:  from its authors (T. Carvalho, A. Rocha, University of Campinas). Public code fetches tifs-database.zip from
        http://ic.unicamp.br/~rocha/pub/downloads/2014-tiago-carvalho-thesis/ ; whether it is still there we do not
        know.
Folder: DIR/DSO-1/splicing-NN.png and normal-NN.png, DIR/DSO-1-Fake-Images-Masks/splicing-NN.png. DIR may be the
        unpacked tifs-database or the folder it lies in; DSI-1 is not needed.
Terms:  we know of no licence; ask the authors before anything but research. Cite Carvalho et al., IEEE TIFS 2013."""
    PUBLISHED = Published(100, 100, True, "Carvalho et al. 2013", ((2048, 1536), (2048, 1536)))

    def sources(self, folder: Path) -> list[Source]:
        """Spliced images with their masks, then authentic ones."""
        root = folder_with(folder, IMAGES)
        inside = entries(root)
        if MASKS.lower() not in inside:
            raise UserError(f"{root}: holds no folder {MASKS}; unpack the masks there as well")
        masks = {Path(name).stem: path for name, path in entries(inside[MASKS.lower()]).items()}
        images = files(inside[IMAGES.lower()], (".png",), "images")
        spliced = [image for image in images if image.name.lower().startswith(SPLICED)]
        authentic = [image for image in images if image.name.lower().startswith(AUTHENTIC_IMAGES)]
        if not spliced:
            raise UserError(f"{inside[IMAGES.lower()]}: no {SPLICED}-NN.png in it; unpack the data set there")
        refuse_missing([image.name for image in spliced if image.stem.lower() not in masks], inside[MASKS.lower()])
        found = [Source(image, (masks[image.stem.lower()],)) for image in spliced]
        return found + [Source(image) for image in authentic]

    def read_spliced(self, mask: Path, image: Path, picture: Picture) -> tuple[Mask, tuple[Note, ...]]:
        """True where a mask is black, at the image's size."""
        size = picture.pixels.shape[0], picture.pixels.shape[1]
        spliced = ~read_mask(mask)
        proportions = spliced.shape[0] / spliced.shape[1], size[0] / size[1]
        if abs(proportions[0] / proportions[1] - 1) > TOLERANCE:
            refuse_other_size(spliced, mask, image, size, WHOLE_COPY)
        return nearest(spliced, size), ()
