"""The command `splice-jax`: flags in, one call, exit code out.

A command is a function that adds its parser and names the function that is called with the parsed arguments; listing
it in `COMMANDS` is all it takes. What a command needs is imported when it is called.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from splice_jax import __version__, errors

Commands = Any  # What `add_subparsers` returns; argparse keeps its type to itself.


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, as every other mistake is."""

    def error(self, message: str) -> NoReturn:
        """Raises `UserError` where argparse would print the usage and exit."""
        raise errors.UserError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0, 2 where the user has to mend something, 130 after Ctrl-C."""

    def command() -> int:
        arguments = parser().parse_args(argv)
        return arguments.run(arguments)

    errors.run(command)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(prog="splice-jax", description="Find what was spliced into a photograph.")
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return top


def _add_localize(commands: Commands) -> None:
    text = "Localize splices in images: STEM.probability.png, STEM.mask.png and STEM.overlay.png of each."
    command = commands.add_parser("localize", help="find the splices in images", description=text)
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="an image, or a folder of images")
    command.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="a trained run")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    command.add_argument("--crf", type=_backend, default="none", metavar="NAME", help="none (default) or pydensecrf")
    command.add_argument("--raw", action="store_true", help="write STEM.npz as well, with the unrounded arrays")
    command.set_defaults(run=_localize)


def _localize(arguments: argparse.Namespace) -> int:
    import splice_jax
    from splice_jax.files import writable_folder
    from splice_jax.localization import find_images, localize_files

    images = find_images(arguments.images, arguments.output)
    localizer = splice_jax.load(arguments.workdir, crf=arguments.crf)
    output = writable_folder(arguments.output)
    return 2 if localize_files(images, output, localizer, raw=arguments.raw) else 0


def _add_compose(commands: Commands) -> None:
    text = "Compose spliced images with their masks from photographs, in the form of a folder data set."
    command = commands.add_parser("compose", help="make splices from photographs", description=text)
    command.add_argument("photos", type=Path, metavar="PHOTOS", help="a folder of authentic photographs")
    command.add_argument("--regions", type=Path, metavar="DIR", help="a segmentation of each photograph, by its stem")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the data set goes")
    command.add_argument("--count", type=_positive, default=1000, metavar="N", help="images to compose (default 1000)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other images (default 0)")
    command.add_argument("--recipe", default="histories", metavar="NAME", help="how (default histories)")
    command.add_argument("--split", metavar="NAME", help="all for train, val or test (default: 80, 10 and 10 %%)")
    command.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    command.set_defaults(run=_compose)


def _compose(arguments: argparse.Namespace) -> int:
    from splice_jax.data.compose import compose_folder

    options = {name: value for name, value in vars(arguments).items() if name != "run"}
    counts = compose_folder(options.pop("photos"), options.pop("output"), **options)
    listed = ", ".join(f"{number} {split}" for split, number in counts.items())
    print(
        f"{arguments.output}: {listed} images; use them by --config.dataset=folder --config.data_dir={arguments.output}"
    )
    return 0


def _backend(text: str) -> str:
    from splice_jax.crf import BACKENDS

    if text not in ("none", *BACKENDS):
        raise argparse.ArgumentTypeError(f"{text!r} is none of none, {', '.join(BACKENDS)}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


COMMANDS: tuple[Callable[[Commands], None], ...] = (_add_localize, _add_compose)
