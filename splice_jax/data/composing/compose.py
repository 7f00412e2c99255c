"""Composes folders of splices from folders of photographs, in the form of a `folder` data set.

The photographs are dealt to train, val and test before anything is composed, so hosts and donors of one split are in no
other, even if splits are added to a folder one by one. Image i of a split depends only on (seed, split, i) and the list
of photographs, whatever the order or process it is made in.
"""

import contextlib
import csv
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from splice_jax.bulk.inputs import WHOLE, Shard
from splice_jax.data.composing import compositions
from splice_jax.data.composing.compositions import Photograph
from splice_jax.data.composing.parts import compose_part
from splice_jax.data.composing.recipes import MIXTURES, RECIPES
from splice_jax.data.composing.sources import JPEG_START, Source, cut, find_sources, read_source, untouched
from splice_jax.data.composing.splicing import Splice, compose_authentic, compose_jitter, compose_splice
from splice_jax.errors import UserError
from splice_jax.files import is_unfinished, replacing, sweep
from splice_jax.workers import executor, in_order

SPLITS = ("train", "val", "test")
FEWEST = 2
"""Photographs a split needs at least: a host and a donor."""
_AT_A_TIME = 8
"""Images composed per request to a process: the list of photographs is sent with every request."""


class Composition(NamedTuple):
    """What one call of a `Composer` gives."""

    splice: Splice
    host: Source
    donor: Source
    """The host itself, if nothing comes from another photograph."""
    recipe: str
    """Its name in `RECIPES`."""


@dataclass(frozen=True)
class Composer:
    """All splices of one split: `composer(index)` composes one.

    sources: at least two photographs. split: one of `SPLITS`. recipe: a name in `RECIPES` or `MIXTURES`.
    """

    sources: tuple[Source, ...]
    split: str
    seed: int
    recipe: str

    def __call__(self, index: int) -> Composition:
        """The splice, its host and its donor. Raises UserError if one of them cannot be used."""
        rng = np.random.default_rng((self.seed, SPLITS.index(self.split), index))
        name = self._recipe(rng)
        recipe = RECIPES[name]
        host, donor = (self.sources[i] for i in rng.choice(len(self.sources), 2, replace=False))
        if recipe.kind == "untouched":
            return Composition(untouched(host), host, host, name)
        side = int(rng.integers(recipe.side[0], recipe.side[1] + 1))
        host_image, host_regions = read_source(host, rng, side, recipe.on_grid)
        if recipe.kind == "authentic":
            return Composition(compose_authentic(host_image, rng, recipe), host, host, name)
        if recipe.kind == "jitter":
            return Composition(compose_jitter(host_image, host_regions, rng, recipe), host, host, name)
        donor_image, regions = read_source(donor, rng, side, recipe.on_grid)
        if not recipe.on_grid:
            host_image, host_regions = (
                cut(host_image, tuple(3 * side // 2 for side in donor_image.shape[:2]), rng),
                None,
            )
        try:
            splice = compose_splice(host_image, donor_image, regions, rng, recipe, host_regions=host_regions)
        except ValueError as error:
            raise UserError(f"{donor.photo}: too small beside {host.photo.name} ({error}); leave it out") from error
        return Composition(splice, host, donor, name)

    def _recipe(self, rng: np.random.Generator) -> str:
        if self.recipe in RECIPES:
            return self.recipe
        shares = MIXTURES[self.recipe]
        return str(rng.choice(list(shares), p=list(shares.values())))


def compose_folder(
    photos: Path | Sequence[Path],
    output: Path,
    *,
    regions: Path | Sequence[Path] | None = None,
    half: int | None = None,
    count: int | Mapping[str, int] = 1000,
    seed: int = 0,
    recipe: str = "histories",
    split: str | None = None,
    workers: int = 1,
    shard: Shard = WHOLE,
    progress: bool = True,
) -> dict[str, int]:
    """Writes composed splices to output/{train,val,test}/{images,masks}, each with a compositions.csv.

    Args:
      photos: folder of authentic photographs, or several; subfolders are ignored.
      regions: folder with segmentations of photographs: images of region numbers with the same stem and size; for
        several folders of photographs, as many. Objects to cut out are unions of adjacent regions; from a photograph
        without a segmentation, they are drawn.
      half: 0 or 1 takes the photographs of one half, which a hash of their names decides; None takes all.
      count: number of images in total, or per split.
      split: use all photographs for this split; none may be a host or donor in another split of `output`. None deals
        photographs and images 80 : 10 : 10 to the three splits.
      workers: number of processes. The result does not depend on it.
      shard: the part to compose; splits are there once all parts are. The result does not depend on their number.

    Returns:
      the number of images, per split; none if other parts are still missing.

    Raises:
      UserError: an unusable photograph or segmentation, too few photographs, a photograph that another split uses, an
        unknown recipe or split, or an output that already exists.
    """
    _check_choice("recipe", recipe, (*RECIPES, *MIXTURES))
    if split is not None:
        _check_choice("split", split, SPLITS)
    if seed < 0:
        raise UserError(f"seed: {seed} is negative; give a number from 0 on")
    counts = _counts(count, split)
    if shard == WHOLE:
        _refuse_occupied(output if split is None else output / split)
    sources = deal(find_sources(photos, regions, half), seed, split, counts)
    if split is not None:
        _refuse_shared(sources[split], split, output)
    if shard != WHOLE:
        whole = [
            _compose_part(Composer(sources[name], name, seed, recipe), number, output / name, shard, workers, progress)
            for name, number in counts.items()
        ]
        return counts if all(whole) else {}
    with contextlib.ExitStack() as unfinished:
        folders = {name: unfinished.enter_context(replacing(output / name)) for name in counts}
        for name, number in counts.items():
            _compose_split(Composer(sources[name], name, seed, recipe), number, folders[name], WHOLE, workers, progress)
    return counts


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


def _compose_part(composer: Composer, number: int, split: Path, shard: Shard, workers: int, progress: bool) -> bool:
    photographs = hashlib.sha256("\n".join(source.content for source in composer.sources).encode()).hexdigest()
    job = {"count": number, "seed": composer.seed, "recipe": composer.recipe, "photographs": photographs}

    def compose(folder: Path) -> None:
        _compose_split(composer, number, folder, shard, workers, progress)

    return compose_part(split, shard, job, compose)


def _compose_split(composer: Composer, number: int, folder: Path, shard: Shard, workers: int, progress: bool) -> None:
    for kind in ("images", "masks", *["authentic"] * _makes_authentic(composer.recipe)):
        (folder / kind).mkdir(parents=True)
    write = functools.partial(_write_some, composer, folder, max(5, len(str(number - 1))))
    own = range(shard.number, number, shard.parts)
    some = (own[start : start + _AT_A_TIME] for start in range(0, len(own), _AT_A_TIME))
    hidden = None if progress else True  # None: only show the bar on a terminal
    with (
        open(folder / compositions.FILE_NAME, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        tqdm(desc=f"composing {composer.split}", total=len(own), unit=" images", disable=hidden) as bar,
        executor(workers if workers > 1 else 0) as processes,
    ):
        table = csv.writer(file)
        table.writerow(compositions.COLUMNS)
        for rows in in_order(processes, write, some, ahead=2 * workers):
            table.writerows(rows)
            bar.update(len(rows))


def _makes_authentic(recipe: str) -> bool:
    """Whether some of a recipe's pictures are authentic."""
    return any(RECIPES[name].kind != "splice" for name in MIXTURES.get(recipe, [recipe]))


def _write_some(composer: Composer, folder: Path, digits: int, indices: range) -> list[list[object]]:
    return [_write(composer, folder, digits, index) for index in indices]


def _write(composer: Composer, folder: Path, digits: int, index: int) -> list[object]:
    """Composes one image, writes it with its mask or as an authentic one, and returns its line of the table."""
    splice, host, donor, recipe = composer(index)
    stem = f"{index:0{digits}d}"
    name = stem + _suffix(splice.jpeg)
    if splice.mask.any():
        (folder / "images" / name).write_bytes(splice.encoded_image())
        (folder / "masks" / f"{stem}.png").write_bytes(splice.encoded_mask())
    else:
        (folder / "authentic" / name).write_bytes(splice.encoded_image())
    if splice.twin is not None:
        (folder / "authentic" / f"{stem}{_suffix(splice.twin)}").write_bytes(splice.twin)
    return [
        name, host.photo.name, donor.photo.name, recipe, composer.seed, index, f"{splice.mask.mean():.4f}",
        f"{splice.scale:.3f}", f"{splice.angle:.1f}", f"{splice.feather:.2f}", splice.jpeg_quality,
        "; ".join(splice.host_history), "; ".join(splice.donor_history), host.content, donor.content,
    ]  # fmt: skip


def _suffix(encoded: bytes | None) -> str:
    return ".jpg" if encoded is not None and encoded.startswith(JPEG_START) else ".png"
