"""Put README, CHANGELOG, CONTRIBUTING and SECURITY into the site; replace links to other files by their names."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]
# Pages of the site that are files outside docs/.
ADDED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/."""
    from mkdocs.structure.files import File

    for source, page in ADDED.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=site_links(text, source, page)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page of docs/ that lead out of docs/."""
    path = page.file.src_uri
    return markdown if path in ADDED.values() else site_links(markdown, f"docs/{path}", path)


def site_links(text: str, source: str, page: str) -> str:
    """Rewrite links of `source`, a path in the checkout, so that they hold in `page`, a path in the site.

    A link to a file that the site lacks becomes the file's name.
    """
    here = PurePosixPath(source).parent

    def rewritten(link: re.Match[str]) -> str:
        picture, words, target, anchor = link.groups()
        path = normpath(str(here / target))
        inside = ADDED.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if inside is None:
            return words if path in words else f"{words} (`{path}`)"
        return f"{picture}[{words}]({relpath(inside, str(PurePosixPath(page).parent))}{anchor or ''})"

    return LINK.sub(rewritten, text)
