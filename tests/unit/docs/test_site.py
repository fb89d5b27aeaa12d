"""mkdocs.yml names every page, and its hook keeps links whole. `make site` builds the site itself, strictly."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import yaml

import fcn_deploy
from tests.support import ROOT
from tests.support.pages import DOCS

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
HOOKS = runpy.run_path(str(ROOT / "docs" / ".site" / "hooks.py"))


def _targets(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [target for entry in (nav.values() if isinstance(nav, dict) else nav) for target in _targets(entry)]


def test_the_navigation_has_every_page_once():
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in DOCS]
    shown = {page for page in pages if not page.startswith("design/")} | {"design/README.md"}
    targets = _targets(CONFIG["nav"])
    assert set(targets) == shown | set(HOOKS["ADDED"].values())
    assert len(targets) == len(set(targets))


def test_the_reference_has_every_public_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [
        name for name in fcn_deploy.__all__ if name != "__version__" and f"::: fcn_deploy.{name}\n" not in text
    ] == []


@pytest.mark.parametrize(
    ("text", "source", "page", "expected"),
    [
        ("[a](docs/guide.md#x) ![p](docs/images/p.png)", "README.md", "index.md",
         "[a](guide.md#x) ![p](images/p.png)"),
        ("[b](../README.md)", "docs/guide.md", "guide.md", "[b](index.md)"),
        ("[c](../../CONTRIBUTING.md)", "docs/design/tests.md", "design/tests.md", "[c](../contributing.md)"),
        ("[d](../docker/cpu.Dockerfile)", "docs/edge.md", "edge.md", "d (`docker/cpu.Dockerfile`)"),
        ("[LICENSE](LICENSE) [e](https://example.org) [f](#g)", "README.md", "index.md",
         "LICENSE [e](https://example.org) [f](#g)"),
        ("[h](engines.md)", "docs/guide.md", "guide.md", "[h](engines.md)"),
    ],
)  # fmt: skip
def test_links_hold_in_the_site(text: str, source: str, page: str, expected: str):
    assert HOOKS["site_links"](text, source, page) == expected
