"""The command that finds splices: `localize`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from splice_jax import errors
from splice_jax.cli.parser import Commands

if TYPE_CHECKING:
    from splice_jax.methods import Localizer


def _add_localize(commands: Commands) -> None:
    text = "Localize splices in images: STEM.probability.png, STEM.mask.png and STEM.overlay.png of each."
    command = commands.add_parser("localize", help="find the splices in images", description=text)
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="an image, or a folder of images")
    command.add_argument("--workdir", type=Path, metavar="DIR", help="a trained run")
    command.add_argument("--method", metavar="NAME", help="a row that needs no run, or one of the run's rows")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results go")
    command.add_argument("--crf", type=_backend, default="none", metavar="NAME", help="none (default) or pydensecrf")
    command.add_argument("--raw", action="store_true", help="write STEM.npz as well, with the unrounded arrays")
    command.more = _rows
    command.set_defaults(run=_localize)


def _rows() -> str:
    from splice_jax.methods import names

    return f"Rows that need no run: {', '.join(names())}. docs/rows.md says what each looks at."


def _localize(arguments: argparse.Namespace) -> int:
    from splice_jax.files import writable_folder
    from splice_jax.localize import find_images, localize_files

    images = find_images(arguments.images, arguments.output)
    localizer = _localizer(arguments.workdir, arguments.method, arguments.crf)
    output = writable_folder(arguments.output)
    return 2 if localize_files(images, output, localizer, raw=arguments.raw) else 0


def _localizer(workdir: Path | None, method: str | None, crf: str) -> "Localizer":
    import splice_jax

    if workdir is not None:
        from splice_jax import runtime

        runtime.set_up()
        return splice_jax.load(workdir, crf=crf, row=method or "")
    if method is None:
        raise errors.UserError("--workdir, --method: give a trained run, or a row that needs none; see --help")
    localizer = splice_jax.localizer(method)
    if crf == "none":
        return localizer
    from splice_jax.methods.refined import Refined

    return Refined(localizer, crf)


def _backend(text: str) -> str:
    from splice_jax.crf import BACKENDS

    if text not in ("none", *BACKENDS):
        raise argparse.ArgumentTypeError(f"{text!r} is none of none, {', '.join(BACKENDS)}")
    return text


COMMANDS = (_add_localize,)
