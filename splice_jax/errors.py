"""The one exception for mistakes that a user can make and mend, and how an entry point reports it."""

import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """One line that names the file or field, what is wrong with it and what to do."""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Calls `main` and exits with its code: 2 and one line on stderr after a `UserError`, 130 after Ctrl-C."""
    try:
        code = main() or 0
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def one_line(error: BaseException) -> str:
    """The error's message with every run of white space, line breaks included, as one space."""
    return " ".join(str(error).split()) or type(error).__name__
