"""Render templates into pages of one style: nothing is loaded from elsewhere, nothing on them is a script."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from fcn_deploy.page.svg import STYLE, THEME


@cache
def template(package: str, name: str) -> Template:
    """Return `name` of the folder `templates` of a package, which fills the blocks of `page.html`.

    It escapes every value, and raises for one that is missing instead of leaving a gap.
    """
    loader = ChoiceLoader([PackageLoader(folder, "templates") for folder in (package, __package__)])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters["prose"] = _prose
    return found.get_template(name)


def styles() -> Markup:
    """Return the style sheet of all pages, in light and dark."""
    return THEME + STYLE + Markup(resources.files(__package__).joinpath("page.css").read_text("utf-8"))


def _prose(line: str) -> str:
    """Keep a number on the line of its per cent sign, and of its plus-minus."""
    return line.replace(" %", "\u00a0%").replace("± ", "±\u00a0")
