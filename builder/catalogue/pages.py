"""The files of a site: pages from templates, and the files of releases that they link to. Pure but for reading those.

The same releases give the same bytes: nothing here knows a time or a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from builder.catalogue import views
from builder.catalogue.courses import courses, curves
from builder.catalogue.entry import PICTURE
from builder.catalogue.example import python_example
from builder.catalogue.markdown import html_of
from builder.catalogue.models import Model, sets_of
from builder.catalogue.rows import row
from builder.catalogue.scatter import pareto
from builder.catalogue.slugs import slug
from builder.catalogue.wording import some
from builder.catalogue.write import LIST, listing
from builder.report.page import render

_TEMPLATES = resources.files("builder.report") / "templates"
_ASSETS = ("site.js", "icon.svg")


@dataclass(frozen=True)
class Site:
    """Paths from the site's root: ``pages`` with their bytes, ``files`` with where their bytes lie."""

    pages: Mapping[str, bytes]
    files: Mapping[str, Path]


def site_of(models: Sequence[Model], title: str) -> Site:
    """The catalogue of ``models``, called ``title``."""
    pages = {name: (_TEMPLATES / "catalogue" / name).read_bytes() for name in _ASSETS}
    styles = (_TEMPLATES / "style.css", _TEMPLATES / "catalogue" / "site.css")
    pages["style.css"] = b"".join(style.read_bytes() for style in styles)
    pages[".nojekyll"] = b""  # GitHub Pages takes everything as it is
    files: dict[str, Path] = {}
    sets = sets_of(models)
    links = {model.name: f"models/{slug(model.name)}/index.html" for model in models}
    pages["index.html"] = _index(models, sets, links, title)
    for model in models:
        _add_model(model, title, pages, files)
    described = [_described(model) for model in models]
    pages[LIST] = listing({"title": title, "models": described}, [*pages, *files])
    return Site(pages, files)


def _index(models: Sequence[Model], sets: Mapping[str, str], links: Mapping[str, str], title: str) -> bytes:
    rows = [row(model, sets, links[model.name]) for model in models]
    text = render(
        "catalogue/index.html",
        root="",
        site_title=title,
        rows=rows,
        versions=sum(len(model.steps) for model in models),
        several_sets=len(sets) > 1,
        plot=pareto(models, sets, links),
        choices={
            "task": sorted({each.task for each in rows}),
            "quantization": sorted({each.quantization for each in rows}),
            "license": sorted({each.license for each in rows}),
        },
    )
    return text.encode()


def _add_model(model: Model, title: str, pages: dict[str, bytes], files: dict[str, Path]) -> None:
    """The page of ``model`` and the files of its versions, into ``pages`` and ``files``."""
    folder = f"models/{slug(model.name)}"
    versions = []
    for step in model.steps:
        entry = step.entry
        shown = views.version(step, model)
        versions.append(shown)
        place = f"{folder}/{shown.folder}"
        pages[f"{place}/{views.CARD}"] = entry.card.encode()
        pages[f"{place}/{views.SUMS}"] = views.sums(shown.files)
        files |= {f"{place}/{name}": entry.files[name] for name in views.DOWNLOADS if name in entry.files}
    newest = next(version for version in versions if version.newest)
    if model.newest.picture:
        files[f"{folder}/{newest.folder}/{PICTURE}"] = model.newest.files[PICTURE]
    text = render(
        "catalogue/model.html",
        root="../../",
        site_title=title,
        model=model,
        facts=model.newest.facts,
        newest=newest,
        versions=versions,
        others=[version for version in versions if not version.newest],
        sums=views.SUMS,
        picture=model.newest.picture,
        alt=views.alt_of_picture(model.newest),
        stages=views.stage_rows(model.newest),
        classes=views.class_rows(model.newest),
        curves=curves(model.newest.evaluation) if model.newest.evaluation else None,
        some=some,
        courses=courses(model),
        example=python_example(model.newest.facts),
        card=html_of(model.newest.card),
    )
    pages[f"{folder}/index.html"] = text.encode()


def _described(model: Model) -> dict[str, object]:
    folder = f"models/{slug(model.name)}"
    return {
        "name": model.name,
        "page": f"{folder}/index.html",
        "newest": model.newest.release.version,
        "versions": [
            views.described(step.entry, f"{folder}/{slug(step.entry.release.version)}", step.entry is model.newest)
            for step in model.steps
        ],
    }
