"""Files by https."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO

from tqdm import tqdm

from splice_jax.errors import UserError, printable

MAX_BYTES = 2**30
TIMEOUT = 30.0
"""Seconds without a byte."""

_CHUNK = 2**20


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https addresses only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not _is_https(newurl):
            fp.close()
            raise UserError(f"{req.full_url}: is redirected to {printable(newurl)}; only https is followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_url(source: str) -> bool:
    """Whether this is an address and no path."""
    return "://" in source


def download(url: str, folder: Path) -> Path:
    """The file at an https address, whole, under its own name in `folder`. A bar shows the progress on a terminal.

    Raises:
        UserError: another protocol, no such file, no connection, more than `MAX_BYTES`, or no space to store it.
    """
    if not _is_https(url):
        raise UserError(f"{url}: is no https address; download it yourself, or give one that begins with https://")
    try:
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
        path = folder / (name or "unnamed")
        with urllib.request.build_opener(_HttpsOnly).open(url, timeout=TIMEOUT) as response, path.open("wb") as file:
            _copy(response, file, url)
    except urllib.error.HTTPError as error:
        error.close()
        raise UserError(
            f"{url}: the server answers {error.code} ({printable(error.reason)}); check the address"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UserError(f"{url}: cannot be downloaded ({printable(str(reason))})") from error
    return path


def _copy(response: http.client.HTTPResponse, file: IO[bytes], url: str) -> None:
    announced = response.headers.get("Content-Length", "")
    total = int(announced) if announced.isdecimal() else None
    received = 0
    with tqdm(desc=printable(url), total=total, unit="B", unit_scale=True, disable=None) as bar:
        while max(received, total or 0) <= MAX_BYTES and (chunk := response.read(_CHUNK)):
            file.write(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if max(received, total or 0) > MAX_BYTES:
        raise UserError(f"{url}: is larger than {MAX_BYTES:,} bytes; these are no weights of this package's networks")
    if total is not None and received < total:
        raise UserError(f"{url}: the connection ended after {received:,} of {total:,} bytes; try again")


def _is_https(url: str) -> bool:
    return url.lower().startswith("https://")
