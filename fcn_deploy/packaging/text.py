"""Render a model of a Triton repository as a line."""

from __future__ import annotations

from fcn_deploy.packaging.triton import PackagedModel


def render(model: PackagedModel) -> str:
    """Return the files that `package` wrote."""
    return f"wrote {', '.join(model.to_plain()['files'])} into {model.folder.parent}"
