"""The images to localize, and where the results of each go."""

import functools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.images import listing
from splice_jax.localize.results import SUFFIXES, named

STDIN = Path("/dev/stdin")
"""What the argument - stands for."""


def find_images(
    paths: Iterable[Path],
    output: Path,
    *,
    recursive: bool = False,
    infixes: Sequence[str] = ("",),
    passed_over: Counter[str] | None = None,
) -> dict[Path, Path]:
    """The files to localize, in order, each with the path that its results' names start with.

    Args:
        paths: images, and folders, which stand for the images directly in them; - is stdin.
        output: where the results go; not searched for images if it is inside a given folder.
        recursive: whether folders also stand for the images in their subfolders, whose results go to the same
            subfolders of `output`. Links to folders are not followed.
        infixes: see `results.infixes`.
        passed_over: counts, by suffix, files of the folders that are no images. Hidden ones are not looked at.

    Raises:
        UserError: a folder has no images, two images' results would have the same names, or a result would overwrite
            an image.
    """
    folders: dict[Path, Path] = {}
    others = Counter[str]() if passed_over is None else passed_over
    for path in paths:
        for image, folder in _images_at(STDIN if path == Path("-") else path, output, recursive, others):
            folders.setdefault(image, output / folder)
    images = _stems(folders)
    _refuse_equal_results(images)
    _refuse_overwriting(images, infixes)
    return images


def _images_at(path: Path, output: Path, recursive: bool, others: Counter[str]) -> list[tuple[Path, Path]]:
    """Images, each with its folder relative to the given one."""
    if not os.path.isdir(path):
        return [(path, Path())]
    found = listing(_files_in(path, output, recursive))
    others.update(found.others)
    if not found.images:
        where = "in this folder or below it" if recursive else "in this folder"
        raise UserError(f"{path}: no images {where}; give files, or a folder of images")
    return [(file, file.parent.relative_to(path)) for file in found.images]


def _stems(folders: Mapping[Path, Path]) -> dict[Path, Path]:
    """What results' names start with: the image's name without its suffix, but with it where others have the same."""
    short = {image: folder / _stem(image.name) for image, folder in folders.items()}
    times = Counter(short.values())
    return {image: stem if times[stem] == 1 else folders[image] / image.name for image, stem in short.items()}


def _stem(name: str) -> str:
    """A name without its suffix; all of it if nothing but dots would be left, which is another folder's name."""
    stem = Path(name).stem
    return stem if stem.strip(".") else name


def _files_in(folder: Path, output: Path, recursive: bool) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{error.filename}: cannot be searched for images ({reason}); leave it out") from error

    results = os.path.realpath(output)
    for place, folders, files in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in sorted(files))
        visible = [name for name in sorted(folders) if not name.startswith(".")]
        searched = [name for name in visible if os.path.realpath(os.path.join(place, name)) != results]
        folders[:] = searched if recursive else []


def _refuse_equal_results(images: Mapping[Path, Path]) -> None:
    first: dict[Path, Path] = {}
    for image, stem in images.items():
        other = first.setdefault(stem, image)
        if other != image:
            raise UserError(
                f"{other} and {image}: their results would have the same names; rename one, or run them apart"
            )


def _refuse_overwriting(images: Mapping[Path, Path], infixes: Iterable[str]) -> None:
    real = functools.cache(os.path.realpath)
    results = [named(stem, infix + suffix) for stem in images.values() for infix in infixes for suffix in SUFFIXES]
    written = {os.path.join(real(result.parent), result.name) for result in results}
    for image in images:
        if not written.isdisjoint((os.path.join(real(image.parent), image.name), os.path.realpath(image))):
            raise UserError(f"{image}: would be overwritten by a result; choose another output folder")
