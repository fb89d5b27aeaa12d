"""Render a model of a Triton repository as a line."""

from __future__ import annotations

from pathlib import Path

from fcn_deploy.packaging.plain import to_plain


def render(folder: Path) -> str:
    """Return the files that `package` wrote."""
    return f"wrote {', '.join(to_plain(folder)['files'])} into {folder.parent}"
