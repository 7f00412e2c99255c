"""The templates of a self-contained page, in a folder `page` of its package."""

import functools
from importlib import resources

import jinja2
from markupsafe import Markup


@functools.cache
def templates(package: str) -> jinja2.Environment:
    """A package's templates; values are escaped for HTML, and JSON so that it cannot close an element."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment


def part(package: str, name: str) -> Markup:
    """A page's style or program, to be inserted without escaping."""
    return Markup(resources.files(package).joinpath("page", name).read_text(encoding="utf-8"))
