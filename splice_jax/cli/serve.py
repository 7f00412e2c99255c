"""The command that serves a local page: `serve`."""

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from splice_jax.cli.parser import Commands, positive

if TYPE_CHECKING:
    from splice_jax.examination.rows import Rows


def _add_serve(commands: Commands) -> None:
    text = (
        "Serve a page on this machine: drop photographs on it, watch their rows come in, and get the pages and "
        "documents of `examine`. Nothing is left on disk when it stops, unless --keep is given."
    )
    command = commands.add_parser("serve", help="a local page that examines photographs", description=text)
    command.add_argument(
        "--port", type=_port, default=8000, metavar="N", help="8000 by default; 0 for any that is free"
    )
    workdir = "a trained run to examine with; by default the packaged model, where there is one"
    command.add_argument("--workdir", type=Path, metavar="DIR", help=workdir)
    command.add_argument("--keep", type=Path, metavar="DIR", help="also write all pages and documents there")
    host = "a name or address of this machine to be reached by from others; by default, only this machine reaches it"
    command.add_argument("--host", default="", metavar="NAME", help=host)
    pixels = "the largest photograph in megapixels, 25 by default"
    command.add_argument("--megapixels", type=positive, default=25, metavar="N", help=pixels)
    command.more = _more
    command.set_defaults(run=_serve)


def _more() -> str:
    return "docs/serve.md names the limits and what protects whom from what. Needs the extra [serve]."


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from splice_jax import errors

    errors.require_extra("serve")
    from splice_jax.serve.limits import Limits
    from splice_jax.serve.server import serve

    load = functools.partial(_load, arguments.workdir)
    limits = Limits(megapixels=arguments.megapixels)
    serve(load, host=arguments.host, port=arguments.port, keep=arguments.keep, limits=limits)
    return 0


def _load(workdir: Path | None) -> "Rows":
    from splice_jax.examination.rows import load_rows  # Here, so that only the worker needs the memory for JAX.

    return load_rows(workdir)


COMMANDS = (_add_serve,)
