"""The images to localize, and where the results of each go."""

import functools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from splice_jax.errors import UserError
from splice_jax.images import IMAGE_SUFFIXES
from splice_jax.localize.results import SUFFIXES, named


def find_images(
    paths: Iterable[Path], output: Path, *, recursive: bool = False, infixes: Sequence[str] = ("",)
) -> dict[Path, Path]:
    """The files to localize, in order, each with the path that its results' names start with.

    Args:
        paths: images, and folders, which stand for the images directly in them.
        output: where the results go; not searched for images if it is inside a given folder.
        recursive: whether folders also stand for the images in their subfolders, whose results go to the same
            subfolders of `output`. Links to folders are not followed.
        infixes: see `results.infixes`.

    Raises:
        UserError: a folder has no images, two images' results would have the same names, or a result would overwrite
            an image.
    """
    images: dict[Path, Path] = {}
    for path in paths:
        for image, folder in _images_at(path, output, recursive):
            images.setdefault(image, output / folder / image.stem)
    _refuse_equal_results(images)
    _refuse_overwriting(images, infixes)
    return images


def _images_at(path: Path, output: Path, recursive: bool) -> list[tuple[Path, Path]]:
    """Images, each with its folder relative to the given one."""
    if not os.path.isdir(path):
        return [(path, Path())]
    files = (file for file in _files_in(path, output, recursive) if file.suffix.lower() in IMAGE_SUFFIXES)
    images = [(file, file.parent.relative_to(path)) for file in files if os.path.isfile(file) or _is_broken(file)]
    if not images:
        where = "in this folder or below it" if recursive else "in this folder"
        raise UserError(f"{path}: no images {where}; give files or a folder of JPEG, PNG, TIFF, BMP or WebP")
    return images


def _files_in(folder: Path, output: Path, recursive: bool) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{error.filename}: cannot be searched for images ({reason}); leave it out") from error

    results = os.path.realpath(output)
    for place, folders, files in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in sorted(files))
        searched = [name for name in sorted(folders) if os.path.realpath(os.path.join(place, name)) != results]
        folders[:] = searched if recursive else []


def _is_broken(link: Path) -> bool:
    """Detects broken links, so that unreadable images are reported, not skipped."""
    return os.path.islink(link) and not os.path.exists(link)


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
