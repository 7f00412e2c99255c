"""The argument parser of all commands."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from splice_jax import errors

Commands = Any  # What `add_subparsers` returns; argparse keeps the type private.


class Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, like every other mistake."""

    more: Callable[[], str] | None = None
    """Text below the help, only computed when help is asked for."""
    takes_configuration = False
    """Whether `--config` and `--config.FIELD` are accepted; they become `config` and `overrides`."""
    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As in argparse, after the configuration flags have been taken out."""
        self._given = list(sys.argv[1:] if args is None else args)
        if not self.takes_configuration:
            return super().parse_known_args(args, namespace)
        from splice_jax.runs.configuration import split_flags

        name, overrides, rest = split_flags(args)
        found, unknown = super().parse_known_args(rest, namespace)
        if unknown:
            raise errors.UserError(f"{unknown[0]}: not understood; write --workdir=DIR and --config.FIELD=VALUE")
        found.config, found.overrides = name, overrides
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Raises `UserError`, where argparse would print the usage and exit."""
        files = [text for text in self._given if text.startswith("-") and os.path.lexists(text)]
        hint = f"; {files[0]} is a file: write ./{files[0]}, or -- before it" if files else ""
        raise errors.UserError(f"{message}{hint}; see {self.prog} --help")

    def format_help(self) -> str:
        """The help, followed by `more`."""
        self.epilog = self.more() if self.more else None
        return super().format_help()


def positive(text: str) -> int:
    """An argument type: positive whole numbers."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def shard_of(text: str) -> tuple[int, int]:
    """An argument type: I/N, a part of N that are counted from 0."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard: of 8 there are 0/8, 1/8, ... 7/8")
    return int(match[1]), int(match[2])
