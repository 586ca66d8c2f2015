"""HTML pages from templates: everything that comes from a release or a manifest is escaped.

Pages stand alone: style, pictures and scripts are inside or beside them, and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import base64
import functools
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = "templates"


def render(template: str, **values: Any) -> str:
    """The page that the file ``template`` of ``templates/`` makes of ``values``.

    A name that is not given is an error (jinja2.UndefinedError), never an empty place.
    """
    return _environment().get_template(template).render(values)


def data_uri(data: bytes, media_type: str) -> str:
    """``data`` as a URI that a page can hold (RFC 2397)."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def visible(value: Any) -> Any:
    """``value`` with a ``?`` for signs that are not seen but change what is, such as the direction of a line."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(sign if sign in "\n\t" or sign.isprintable() else "?" for sign in value)


@functools.cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("builder.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["style"] = Markup(_text("style.css"))
    return found


def _text(name: str) -> str:
    return resources.files("builder.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
