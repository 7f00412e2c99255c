"""Splits by seed: which images of a prepared set train, validate and test, 65 : 10 : 25, written into the set.

The paper's data sets are split this way, and so is a flat folder that a run is trained on. The set's folder gets
images.csv, one line per image, and splits/seedN.csv, the split of each image by name. Your own file in the latter form,
under a seed's name, is used as is.

Images that share content stay together: those with the same pixels, those with a textured 64 x 64 patch in common (cut
on the same grid as in training, which finds splices of one host and the host itself), and those that the data set says
were made from one photograph. Content that was compressed or moved again cannot be found this way.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8, UInt64
from scipy.sparse import coo_array, csgraph
from tqdm import tqdm

from splice_jax.data.sets.builders.base import AUTHENTIC, SpliceBuilder, read_split
from splice_jax.errors import UserError, listed, one_line
from splice_jax.files import replacing
from splice_jax.images import read_image, read_mask
from splice_jax.patches import PATCH_SIZE

SHARES = {"train": 0.65, "val": 0.10, "test": 0.25}
ALL = "all"
"""The name that selects every image of a set."""
SEEDS = range(5)
"""Drawn in advance; any other is drawn when it is asked for."""

FLAT = 16
"""Patches with a smaller range of values are no sign of a common photograph: skies and shadows look alike."""

COLUMNS = ("part", "name", "width", "height", "spliced_share", "content", "group")


@dataclass(frozen=True, eq=False)
class Surveyed:
    """What the survey found out about a stored image.

    part: the stored split that holds it. share: of spliced pixels, in [0, 1]. content: digest of its pixels, "" if
    it cannot be decoded, and then `problem` says why. patches: digests of its textured patches.
    photographs: names of those it was made from, if the data set says so.
    """

    part: str
    name: str
    size: tuple[int, int] = (0, 0)
    share: float = 0.0
    content: str = ""
    photographs: tuple[str, ...] = ()
    patches: UInt64[np.ndarray, " n"] | Sequence[int] = ()
    problem: str = ""

    @property
    def authentic(self) -> bool:
        """Whether it is in a split of authentic images."""
        return _is_authentic(self.part)


def _is_authentic(part: str) -> bool:
    return part.endswith(AUTHENTIC)


@dataclass(frozen=True)
class Listed:
    """A line of images.csv: an image's place in the set, and the number of the group it stays together with."""

    part: str
    index: int
    name: str
    content: str
    group: int


class Selection(Sequence[Any]):
    """Some examples of a stored split."""

    def __init__(self, source: Sequence[Any], indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, position: Any) -> Any:
        return self._source[self._indices[position]]


def survey(builder: SpliceBuilder) -> list[Surveyed]:
    """Decodes every image and mask of a prepared set, in order; decoding errors are recorded, not raised."""
    found = []
    for part in builder.counts:
        source = read_split(builder, part)
        for index in tqdm(range(len(source)), f"looking at {part}", unit=" images", disable=None):
            found.append(_surveyed(part, source, index))
    return found


def _surveyed(part: str, source: Sequence[Any], index: int) -> Surveyed:
    name = f"number {index}"
    try:
        encoded = source[index]
        name = encoded["name"].decode()
        image = read_image(encoded["image"], name=name)
        mask = read_mask(encoded["mask"], name=f"mask of {name}")
    except UserError as error:
        return Surveyed(part, name, problem=one_line(error))
    except (OSError, ValueError, RuntimeError, IndexError) as error:  # what a broken record raises
        return Surveyed(part, name, problem=f"{part}, {name}: {one_line(error)}")
    if mask.shape != image.shape[:2]:
        return Surveyed(part, name, problem=f"{name}: the mask has another size than the image")
    photographs = encoded.get("origins", b"").decode().split("\n")
    return Surveyed(
        part,
        name,
        (image.shape[0], image.shape[1]),
        float(mask.mean()),
        hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:32],
        tuple(name for name in photographs if name),
        patch_digests(image),
    )


def patch_digests(image: UInt8[np.ndarray, "height width 3"]) -> UInt64[np.ndarray, " n"]:
    """A digest of every whole patch of the grid that is not flat."""
    rows, columns = (side // PATCH_SIZE for side in image.shape[:2])
    cut = image[: rows * PATCH_SIZE, : columns * PATCH_SIZE].reshape(rows, PATCH_SIZE, columns, PATCH_SIZE, 3)
    textured = np.argwhere(np.ptp(cut, axis=(1, 3, 4)) >= FLAT)
    return np.array([digest(cut[row, :, column].tobytes()) for row, column in textured], np.uint64)


def digest(content: bytes) -> int:
    """64 bits that identify the content."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def groups(images: Sequence[Surveyed]) -> Int64[np.ndarray, " n"]:
    """A group number per image, equal for images that share content or a photograph, directly or through others."""
    keys = [np.fromiter(_keys(image), np.uint64) for image in images]
    owner = np.repeat(np.arange(len(images)), [len(of_image) for of_image in keys])
    _, key = np.unique(np.concatenate(keys), return_inverse=True)
    nodes = len(images) + int(key.max(initial=-1)) + 1
    shared = coo_array((np.ones(len(key), bool), (owner, len(images) + key)), shape=(nodes, nodes))
    components = csgraph.connected_components(shared, directed=False)[1][: len(images)]
    return np.unique(components, return_inverse=True)[1]


def _keys(image: Surveyed) -> Iterator[int]:
    yield digest(f"content {image.content or image.name}".encode())
    yield from (digest(f"photograph {name}".encode()) for name in image.photographs)
    yield from image.patches


def draw(images: Sequence[Listed], seed: int) -> dict[str, str]:
    """The split of each image, by name; depends only on the images' groups and names and on the seed.

    Groups are taken in random order, those with spliced images first. Each goes to the split that would then have the
    fewest spliced images relative to its share (or authentic ones, for a group with no spliced images).
    """
    members: dict[int, list[Listed]] = {}
    for image in images:
        members.setdefault(image.group, []).append(image)
    shuffled = np.random.default_rng(seed).permutation(np.array(list(members)))
    counts = {part: dict.fromkeys(SHARES, 0) for part in {image.part for image in images}}
    drawn: dict[str, str] = {}
    for group in sorted(shuffled, key=lambda group: all(_is_authentic(image.part) for image in members[group])):
        by_part = {part: sum(image.part == part for image in members[group]) for part in counts}
        part = max(by_part, key=lambda part: (bool(by_part[part]) and not _is_authentic(part), by_part[part]))
        split = min(SHARES, key=lambda split: (counts[part][split] + by_part[part]) / SHARES[split])
        for name in by_part:
            counts[name][split] += by_part[name]
        drawn |= {image.name: split for image in members[group]}
    return {image.name: drawn[image.name] for image in images}


def image_list(builder: SpliceBuilder, found: Callable[[], Sequence[Surveyed]] | None = None) -> list[Listed]:
    """The images.csv of a prepared set, written now if it does not exist.

    Args:
      found: returns the survey if one is needed.

    Raises:
      UserError: the file cannot be read, or there is no permission to write it.
    """
    path = Path(builder.data_dir) / "images.csv"
    if not path.exists():
        _write_images(path, found() if found else survey(builder))
    counts: dict[str, int] = {}
    listed_images = []
    for row in _rows(path, COLUMNS):
        index = counts.setdefault(row["part"], 0)
        counts[row["part"]] += 1
        try:
            listed_images.append(Listed(row["part"], index, row["name"], row["content"], int(row["group"])))
        except ValueError as error:
            raise UserError(f"{path}: {row['group']!r} is no group; delete the file, it is made anew") from error
    if counts != {part: number for part, number in builder.counts.items() if number}:
        raise UserError(f"{path}: does not list the images that are there; delete the file, it is made anew")
    return listed_images


def _write_images(path: Path, found: Sequence[Surveyed]) -> None:
    lines = [
        (image.part, image.name, *image.size[::-1], f"{image.share:.6f}", image.content, group)
        for image, group in zip(found, groups(found), strict=True)
    ]
    _write(path, COLUMNS, lines)


def split_file(builder: SpliceBuilder, seed: int) -> Path:
    """Where a seed's split is written."""
    return Path(builder.data_dir) / "splits" / f"seed{seed}.csv"


def split_of(builder: SpliceBuilder, images: Sequence[Listed], seed: int) -> dict[str, str]:
    """The split of each image by name, as its file says; drawn and written now if there is no file.

    Raises:
      UserError: a negative seed, two images with the same name, a file that does not assign every image, or no
        permission to write it.
    """
    if seed < 0:
        raise UserError(f"split_seed: {seed} is negative; give a number from 0 on")
    twice = [name for name, number in Counter(image.name for image in images).items() if number > 1]
    if twice:
        raise UserError(f"{listed(sorted(twice))}: the name of two images, which a split goes by; rename one of them")
    path = split_file(builder, seed)
    if not path.exists():
        _write(path, ("split", "name"), [(split, name) for name, split in draw(images, seed).items()])
    found = {row["name"]: row["split"] for row in _rows(path, ("split", "name"))}
    names = {image.name for image in images}
    wrong = [*(names ^ found.keys()), *(name for name, split in found.items() if split not in SHARES)]
    if wrong:
        raise UserError(
            f"{path}: {listed(sorted(wrong))} must stand in it once each, in {', '.join(SHARES)}, and nothing else; "
            "mend it, or delete it and it is drawn anew"
        )
    return found


def _rows(path: Path, columns: Sequence[str]) -> Sequence[Mapping[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows, names = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({one_line(error)}); delete it, it is made anew") from error
    if not set(columns) <= set(names):
        raise UserError(f"{path}: has not the columns {', '.join(columns)}; delete it, it is made anew")
    return rows


def _write(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)


def select(builder: SpliceBuilder, split: str, seed: int, include_authentic: bool) -> list[Selection]:
    """The examples of a seed's split of a prepared set that has a `whole`, spliced ones first; "all" selects all.

    Raises:
      UserError: there is no such split, or as `image_list` and `split_of`.
    """
    if split not in (*SHARES, ALL):
        raise UserError(f"split: {builder.name} has no {split!r}; it has {', '.join((*SHARES, ALL))}")
    images = image_list(builder)
    where = split_of(builder, images, seed)
    parts = [builder.whole, builder.whole + AUTHENTIC] if include_authentic else [builder.whole]
    chosen = {part: [i.index for i in images if i.part == part and split in (ALL, where[i.name])] for part in parts}
    if not chosen[builder.whole]:
        raise UserError(
            f"split: {split_file(builder, seed)} leaves no spliced image to {split!r}; give more images that share no "
            "content"
        )
    return [Selection(read_split(builder, part), indices) for part, indices in chosen.items() if indices]


def division(builder: SpliceBuilder, seed: int) -> str:
    """Hexadecimal digits that change whenever an image, by name, changes its split."""
    return hashlib.sha256(split_file(builder, seed).read_bytes()).hexdigest()[:16]


def fingerprint(builder: SpliceBuilder, seed: int) -> str:
    """Hexadecimal digits that change whenever an image of a prepared set or its split changes."""
    paths = (Path(builder.data_dir) / "images.csv", split_file(builder, seed))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]
