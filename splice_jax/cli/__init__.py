"""The command `splice-jax`: flags in, one call, exit code out.

A command is a function that adds its parser and names the function to call with the parsed arguments; to register it,
list it in its module's `COMMANDS`. What a command needs is imported when it is called.
"""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from splice_jax import __version__, errors
from splice_jax.cli import data, examine, localize, runs, serve, weights
from splice_jax.cli.parser import Parser

COMMANDS = (*localize.COMMANDS, *examine.COMMANDS, *serve.COMMANDS, *runs.COMMANDS, *data.COMMANDS, *weights.COMMANDS)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0, 2 if the user has to fix something, 130 after Ctrl-C."""

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
