"""Composes folders of splices from folders of photographs, in the form of a `folder` data set.

The photographs are dealt to train, val and test before anything is composed, so hosts and donors of one split are in no
other, even if splits are added to a folder one by one. Image i of a split depends only on (seed, split, i) and the list
of photographs, whatever the order or process it is made in.
"""

import contextlib
import csv
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from tqdm import tqdm

from splice_jax.data.composing import compositions
from splice_jax.data.composing.camera import Image
from splice_jax.data.composing.compositions import Photograph
from splice_jax.data.composing.objects import Regions
from splice_jax.data.composing.photographs import content, photographs_in, refuse_small, usable
from splice_jax.data.composing.recipes import RECIPES
from splice_jax.data.composing.splicing import Splice, compose_splice
from splice_jax.errors import UserError
from splice_jax.files import is_unfinished, read_bytes, replacing, sweep
from splice_jax.images import read_image
from splice_jax.workers import executor, in_order

SPLITS = ("train", "val", "test")
FEWEST = 2
"""Photographs a split needs at least: a host and a donor."""
LARGEST_SIDE = 1024
"""Larger photographs are cropped to this at random, not shrunk: shrinking would destroy their traces."""
_AT_A_TIME = 8
"""Images composed per request to a process: the list of photographs is sent with every request."""


@dataclass(frozen=True)
class Source:
    """A photograph, the digest of its file, and its segmentation, if there is one."""

    photo: Path
    content: str
    regions: Path | None = None


@dataclass(frozen=True)
class Composer:
    """All splices of one split: `composer(index)` composes one.

    sources: at least two photographs. split: one of `SPLITS`. recipe: a name in `RECIPES`.
    """

    sources: tuple[Source, ...]
    split: str
    seed: int
    recipe: str

    def __call__(self, index: int) -> tuple[Splice, Source, Source]:
        """The splice, its host and its donor. Raises UserError if one of them cannot be used."""
        rng = np.random.default_rng((self.seed, SPLITS.index(self.split), index))
        host, donor = (self.sources[i] for i in rng.choice(len(self.sources), 2, replace=False))
        host_image, _ = _read(host, rng)
        donor_image, regions = _read(donor, rng)
        host_image = _cut(host_image, tuple(3 * side // 2 for side in donor_image.shape[:2]), rng)
        try:
            return compose_splice(host_image, donor_image, regions, rng, RECIPES[self.recipe]), host, donor
        except ValueError as error:
            raise UserError(f"{donor.photo}: too small beside {host.photo.name} ({error}); leave it out") from error


def compose_folder(
    photos: Path,
    output: Path,
    *,
    regions: Path | None = None,
    count: int | Mapping[str, int] = 1000,
    seed: int = 0,
    recipe: str = "histories",
    split: str | None = None,
    workers: int = 1,
    progress: bool = True,
) -> dict[str, int]:
    """Writes composed splices to output/{train,val,test}/{images,masks}, each with a compositions.csv.

    Args:
      photos: folder of authentic photographs; subfolders are ignored.
      regions: folder with one segmentation per photograph: an image of region numbers with the same stem and size.
        Objects to cut out are unions of adjacent regions; if None, they are drawn.
      count: number of images in total, or per split.
      split: use all photographs for this split; none may be a host or donor in another split of `output`. None deals
        photographs and images 80 : 10 : 10 to the three splits.
      workers: number of processes. The result does not depend on it.

    Returns:
      the number of images written, per split.

    Raises:
      UserError: an unusable photograph or segmentation, too few photographs, a photograph that another split uses, an
        unknown recipe or split, or an output that already exists.
    """
    _check_choice("recipe", recipe, tuple(RECIPES))
    if split is not None:
        _check_choice("split", split, SPLITS)
    if seed < 0:
        raise UserError(f"seed: {seed} is negative; give a number from 0 on")
    counts = _counts(count, split)
    _refuse_occupied(output if split is None else output / split)
    sources = deal(find_sources(photos, regions), seed, split, counts)
    if split is not None:
        _refuse_shared(sources[split], split, output)
    with contextlib.ExitStack() as unfinished:
        folders = {name: unfinished.enter_context(replacing(output / name)) for name in counts}
        for name, number in counts.items():
            _compose_split(Composer(sources[name], name, seed, recipe), number, folders[name], workers, progress)
    return counts


def find_sources(photos: Path, regions: Path | None = None) -> tuple[Source, ...]:
    """The photographs in a folder in order of name, without duplicates, with their segmentations.

    Those that cannot be used are named and left out. Raises UserError if there are no others, or one of them lacks its
    segmentation.
    """
    readable = list(usable(photographs_in(photos, "photographs")))
    if not readable:
        raise UserError(f"{photos}: none of its photographs can be used; the lines above say why")
    unique = {digest: path for path, digest in reversed(readable)}
    kept = sorted((path, digest) for digest, path in unique.items())
    if regions is None:
        return tuple(Source(path, digest) for path, digest in kept)
    segmentations = {path.stem: path for path in photographs_in(regions, "segmentations")}
    for path, _ in kept:
        if path.stem not in segmentations:
            raise UserError(f"{regions}: no segmentation {path.stem}.png for photograph {path}; add it or omit regions")
    return tuple(Source(path, digest, segmentations[path.stem]) for path, digest in kept)


def deal(
    sources: Sequence[Source], seed: int, split: str | None, counts: Mapping[str, int]
) -> dict[str, tuple[Source, ...]]:
    """Photographs for each split of `counts`: all of them for `split`, or 80 : 10 : 10 after a seeded shuffle."""
    if split is not None:
        dealt = {split: tuple(sources)}
    else:
        order = [sources[i] for i in np.random.default_rng((seed, len(SPLITS))).permutation(len(sources))]
        few = max(FEWEST, round(len(order) / 10))
        dealt = {"test": tuple(order[:few]), "val": tuple(order[few : 2 * few]), "train": tuple(order[2 * few :])}
    for name in counts:
        if len(dealt[name]) < FEWEST:
            needed = FEWEST if split is not None else FEWEST * len(SPLITS)
            raise UserError(
                f"{sources[0].photo.parent}: {len(sources)} different photographs; at least {needed} are needed"
            )
    return dealt


def _counts(count: int | Mapping[str, int], split: str | None) -> dict[str, int]:
    if isinstance(count, int):
        few = round(count / 10)
        count = {split: count} if split else {"train": count - 2 * few, "val": few, "test": few}
    for name, number in count.items():
        _check_choice("split", name, SPLITS if split is None else (split,))
        if number < 0:
            raise UserError(f"count: {number} images of {name}; give a number from 0 on")
    wanted = {name: number for name, number in count.items() if number > 0}
    if not wanted:
        raise UserError("count: no images to compose; give a larger number")
    return wanted


def _check_choice(field: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"{field}: {value!r} is none of {', '.join(known)}")


def _refuse_occupied(folder: Path) -> None:
    """Unfinished leftovers of a killed process do not count; they are removed."""
    if folder.is_dir():
        sweep(folder)
        if all(is_unfinished(path.name) for path in folder.iterdir()):
            return
    if folder.exists():
        raise UserError(f"{folder}: exists already and is not empty; choose a new output folder")


def _refuse_shared(sources: Sequence[Source], split: str, output: Path) -> None:
    """Refuses photographs already used for another split of this output."""
    given = {Photograph(source.photo.name, source.content): source.photo for source in sources}
    for name in SPLITS:
        twice = compositions.shared(given, compositions.photographs(output / name)) if name != split else []
        for new, used in twice:
            raise UserError(
                f"{given[new]}: {output / name} was composed from it already, as {used.name}; give {split} photographs "
                "of its own, or compose all splits in one call"
            )


def _read(source: Source, rng: np.random.Generator) -> tuple[Image, Regions | None]:
    """A photograph and its segmentation, cropped to at most `LARGEST_SIDE` pixels per side."""
    encoded = read_bytes(source.photo)
    if content(encoded) != source.content:
        raise UserError(f"{source.photo}: has changed since composing began; compose anew when it changes no more")
    image = read_image(encoded, name=str(source.photo))
    refuse_small(image.shape, source.photo)
    if source.regions is None:
        return _cut(image, (LARGEST_SIDE, LARGEST_SIDE), rng), None
    regions = read_regions(source.regions)
    if regions.shape != image.shape[:2]:
        raise UserError(
            f"{source.regions}: {regions.shape[1]} x {regions.shape[0]} pixels, but {source.photo.name} has "
            f"{image.shape[1]} x {image.shape[0]}; they must be equal"
        )
    both = _cut(np.dstack([image, regions]), (LARGEST_SIDE, LARGEST_SIDE), rng)
    return both[..., :3].astype(np.uint8), both[..., 3]


def _cut(pixels: np.ndarray, most: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A random part of at most `most` (height, width); everything if it is no larger."""
    height, width = (min(side, limit) for side, limit in zip(pixels.shape, most, strict=False))
    top, left = rng.integers(pixels.shape[0] - height + 1), rng.integers(pixels.shape[1] - width + 1)
    return pixels[top : top + height, left : left + width]


def read_regions(path: Path) -> Regions:
    """A segmentation: one region number per pixel, from a grey, 16-bit or palette image."""
    encoded = io.BytesIO(read_bytes(path))
    try:
        with Pillow.open(encoded) as picture:
            regions = np.array(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable segmentation ({error})") from error
    if regions.ndim != 2 or regions.dtype.kind not in "ui" or regions.min() < 0 or regions.max() > 65535:
        raise UserError(f"{path}: a segmentation has one channel of region numbers from 0 to 65535")
    return regions


def _compose_split(composer: Composer, number: int, folder: Path, workers: int, progress: bool) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    write = functools.partial(_write_some, composer, folder, max(5, len(str(number - 1))))
    parts = (range(start, min(start + _AT_A_TIME, number)) for start in range(0, number, _AT_A_TIME))
    hidden = None if progress else True  # None: only show the bar on a terminal
    with (
        open(folder / compositions.FILE_NAME, "w", encoding="utf-8", newline="") as file,
        tqdm(desc=f"composing {composer.split}", total=number, unit=" images", disable=hidden) as bar,
        executor(workers if workers > 1 else 0) as processes,
    ):
        table = csv.writer(file)
        table.writerow(compositions.COLUMNS)
        for rows in in_order(processes, write, parts, ahead=2 * workers):
            table.writerows(rows)
            bar.update(len(rows))


def _write_some(composer: Composer, folder: Path, digits: int, indices: range) -> list[list[object]]:
    return [_write(composer, folder, digits, index) for index in indices]


def _write(composer: Composer, folder: Path, digits: int, index: int) -> list[object]:
    """Composes one image, writes it with its mask, and returns its line of the table."""
    splice, host, donor = composer(index)
    stem = f"{index:0{digits}d}"
    name = stem + (".png" if splice.jpeg is None else ".jpg")
    (folder / "images" / name).write_bytes(splice.encoded_image())
    (folder / "masks" / f"{stem}.png").write_bytes(splice.encoded_mask())
    return [
        name, host.photo.name, donor.photo.name, composer.recipe, composer.seed, index, f"{splice.mask.mean():.4f}",
        f"{splice.scale:.3f}", f"{splice.angle:.1f}", f"{splice.feather:.2f}", splice.jpeg_quality,
        "; ".join(splice.host_history), "; ".join(splice.donor_history), host.content, donor.content,
    ]  # fmt: skip
