"""Downloads files over https with pooch."""

import http.client
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pooch  # type: ignore[import-untyped]
from tqdm import tqdm

from splice_jax.errors import UserError, one_line, printable

MAX_BYTES = 2**30
TIMEOUT = 30.0
"""Seconds without receiving a byte."""

_CHUNK = 2**20


class _Progress:
    """A progress bar in pooch's form, which stops downloads that are too large."""

    def __init__(self, url: str) -> None:
        self._url, self._received, self._announced = url, 0, 0
        self._bar = tqdm(desc=printable(url), unit="B", unit_scale=True, disable=None)

    @property
    def total(self) -> int:
        """Bytes announced by the server; 0 if it did not say."""
        return self._announced

    @total.setter
    def total(self, announced: int) -> None:
        self._announced, self._bar.total = announced, announced or None
        self._refuse_too_large()

    def update(self, received: int) -> None:
        self._received += received
        self._refuse_too_large()
        self._bar.update(received)

    def reset(self) -> None:
        self._received = 0
        self._bar.reset()

    def close(self) -> None:
        self._bar.close()

    def _refuse_too_large(self) -> None:
        if max(self._received, self._announced) > MAX_BYTES:
            raise UserError(
                f"{self._url}: is larger than {MAX_BYTES:,} bytes; these are no weights of this package's networks"
            )


def is_url(source: str) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in source


def download(url: str, folder: Path) -> Path:
    """Downloads the whole file at an https address to `folder`, under its own name, with a progress bar on terminals.

    Raises:
        UserError: another protocol, no such file, no connection, more than `MAX_BYTES`, or no space to store it.
    """
    if not _is_https(url):
        raise UserError(f"{url}: is no https address; download it yourself, or give one that begins with https://")
    progress, answers = _Progress(url), []

    def check(answer: Any, **_: Any) -> None:
        answers.append(answer)
        _check_answer(answer)

    try:
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name or "unnamed"
        path = folder / name
        pooch.HTTPDownloader(
            progressbar=progress,
            chunk_size=_CHUNK,
            timeout=TIMEOUT,
            headers={"Accept-Encoding": "identity"},  # so that the announced size is the stored size
            hooks={"response": check},
        )(url, str(path), None)
    except (OSError, http.client.HTTPException, ValueError) as error:  # Errors of requests are OSErrors.
        raise UserError(f"{url}: {_what_failed(error)}") from error
    finally:
        progress.close()
        for answer in answers:  # A download that fails leaves its connection open.
            answer.close()
    if progress.total and path.stat().st_size < progress.total:
        raise UserError(f"{url}: {_ended(path.stat().st_size, progress.total)}")
    return path


def _check_answer(response: Any) -> None:
    """Checks every answer before a redirect is followed."""
    target = urllib.parse.urljoin(response.url, response.headers.get("Location", response.url))
    if response.is_redirect and not _is_https(target):
        raise UserError(f"{response.url}: is redirected to {printable(target)}; only https is followed")
    if not response.ok:
        reason = printable(str(response.reason))
        raise UserError(f"{response.url}: the server answers {response.status_code} ({reason}); check the address")


def _what_failed(error: BaseException) -> str:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, http.client.IncompleteRead):
            received, missing = (
                part if isinstance(part, int) else len(part or b"") for part in (cause.partial, cause.expected)
            )
            return _ended(received, received + missing)
    if any("timed out" in str(cause) for cause in causes):
        return "cannot be downloaded (timed out)"
    return f"cannot be downloaded ({printable(one_line(causes[-1]))})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those inside it, innermost last: requests wraps urllib3's errors, which wrap the system's."""
    yield error
    inner = getattr(error, "reason", None)
    for cause in (inner, *error.args, error.__cause__):
        if isinstance(cause, BaseException):
            yield from _causes(cause)
            return


def _ended(received: int, total: int) -> str:
    return f"the connection ended after {received:,} of {total:,} bytes; try again"


def _is_https(url: str) -> bool:
    return url.lower().startswith("https://")
