"""What `package --json` writes, and the line that it prints."""

from __future__ import annotations

from fcn_deploy.packaging.text import render
from fcn_deploy.packaging.triton import PackagedModel


def test_files_are_named_from_the_repository_on(tmp_path):
    for name in ("2/model.onnx", "config.pbtxt"):
        (tmp_path / "net" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "net" / name).write_text("x")
    assert PackagedModel(tmp_path / "net").to_plain() == {
        "schema": 1,
        "kind": "package",
        "repository": str(tmp_path),
        "name": "net",
        "files": ["net/2/model.onnx", "net/config.pbtxt"],
    }
    assert render(PackagedModel(tmp_path / "net")) == f"wrote net/2/model.onnx, net/config.pbtxt into {tmp_path}"
