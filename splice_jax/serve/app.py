"""The page, its uploads, their progress and their results, as an ASGI application."""

import asyncio

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from splice_jax.evaluation.output.report.templates import part, templates
from splice_jax.serve.guard import Guard
from splice_jax.serve.jobs import RESULTS, Busy, Job, Jobs
from splice_jax.serve.limits import Limits

_PACKAGE = "splice_jax.serve"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_RESULT_POLICY = (  # An examination brings its style and program along; in a sandbox it is no page of this server's.
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-modals"
)
"""Browsers open nothing that has both a sandbox and a Cross-Origin-Opener-Policy; links here are without opener."""
_TYPES = {"css": "text/css", "js": "text/javascript", "html": "text/html", "json": "application/json"}
_READ_ON = 4
"""An upload over the limit is read up to this many times the limit, since browsers only read an answer after that."""


def application(jobs: Jobs, limits: Limits, hosts: frozenset[str]) -> Starlette:
    """The application.

    Args:
        jobs: takes the photographs.
        limits: see `Limits`.
        hosts: see `allowed_hosts`.
    """
    page = _page(limits)

    async def start(request: Request) -> Response:
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})

    async def asset(request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in ("css", "js"):
            return _absent()
        return Response(part(_PACKAGE, f"serve.{kind}"), media_type=_TYPES[kind])

    async def progress(request: Request) -> Response:
        found = {}
        for asked in request.query_params.getlist("of")[: limits.kept + limits.waiting]:
            id, _, seen = asked.partition(":")
            found[id] = jobs.progress(id, int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 5 else 0)
        return JSONResponse(found)

    async def result(request: Request) -> Response:
        id, kind = request.path_params["id"], request.path_params["kind"]
        content = await asyncio.to_thread(jobs.result, id, kind) if kind in RESULTS else None
        if content is None:
            return _absent()
        headers = {"Content-Security-Policy": _RESULT_POLICY}
        if "save" in request.query_params:
            headers["Content-Disposition"] = f'attachment; filename="{id}.examination.{kind}"'
        return Response(content, media_type=_TYPES[kind], headers=headers)

    async def take(request: Request) -> Response:
        try:
            job = jobs.reserve(request.query_params.get("name", ""))
        except Busy:
            await _received(request, None, limits)
            return _refusal(429, "busy: as many photographs are waiting as there may be; try again in a while")
        try:
            problem = await _received(request, job, limits)
        except BaseException:  # Also when the server stops.
            jobs.withdraw(job)
            raise
        if problem is not None:
            jobs.withdraw(job)
            return problem
        jobs.submit(job)
        return JSONResponse({"id": job.id, "name": job.name}, 202)

    routes = [
        Route("/", start),
        Route("/serve.{kind}", asset),
        Route("/progress", progress),
        Route("/photographs", take, methods=["POST"]),
        Route("/photographs/{id}.{kind}", result),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, hosts=hosts)])


async def _received(request: Request, job: Job | None, limits: Limits) -> Response | None:
    """Writes the body to the job's file, or nowhere without one; returns what is wrong with it, None if nothing."""
    too_large = _refusal(413, f"over {limits.megabytes} MB, the most that this page takes; scale it down or cut it")
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > _READ_ON * limits.bytes:
        return too_large
    size = 0
    try:
        async with asyncio.timeout(limits.uploading):
            async for chunk in request.stream():
                size += len(chunk)
                if size > _READ_ON * limits.bytes:
                    break
                if job is not None and size <= limits.bytes:
                    job.file.write(chunk)
    except ClientDisconnect:
        return _refusal(400, "the upload broke off")
    except TimeoutError:
        return _refusal(408, f"not uploaded within {limits.uploading} seconds")
    except OSError as error:
        return _refusal(507, f"no room for it ({error.strerror})")
    return too_large if size > limits.bytes else None


def _refusal(status: int, reason: str) -> Response:
    return PlainTextResponse(f"{reason}\n", status, headers={"Retry-After": "2"} if status == 429 else None)


def _absent() -> Response:
    return PlainTextResponse("there is no such thing here (any more)\n", 404)


def _page(limits: Limits) -> str:
    return templates(_PACKAGE).get_template("serve.html").render(limits=limits)
