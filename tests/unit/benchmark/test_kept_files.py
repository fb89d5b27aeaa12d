"""The folder of --keep."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fcn_deploy.benchmark.kept_files import KeepFolder
from fcn_deploy.errors import OutputError


def test_a_file_is_kept_with_what_belongs_to_it(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    for name in ("m.engine", "m.engine.json", "m.onnx", "m.onnx.data", "m.other"):
        (made / name).write_text(name)
    keep = KeepFolder(tmp_path / "out" / "new")
    assert keep.keep(made / "m.engine", "a.engine") == tmp_path / "out" / "new" / "a.engine"
    keep.keep(made / "m.onnx", "a.onnx")
    assert {path.name: path.read_text() for path in keep.folder.iterdir()} == {
        "a.engine": "m.engine", "a.engine.json": "m.engine.json", "a.onnx": "m.onnx", "m.onnx.data": "m.onnx.data",
    }  # fmt: skip


def test_a_file_that_is_there_is_refused_before_the_work_unless_forced(tmp_path):
    (tmp_path / "a.onnx").write_text("mine")
    with pytest.raises(OutputError, match=r"a\.onnx exists; --force replaces it, or give --keep another folder"):
        KeepFolder(tmp_path).check(["b.onnx", "a.onnx"])
    KeepFolder(tmp_path).check(["b.onnx"])
    KeepFolder(tmp_path, force=True).check(["a.onnx"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        KeepFolder(tmp_path / "file").check(["a.onnx"])


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(errno.ENOSPC, "no space left on device", str(target))

    made = tmp_path / "made.onnx"
    made.write_text("whole")
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OutputError, match=r"a\.onnx"):
        KeepFolder(tmp_path / "out").keep(made, "a.onnx")
    assert not list((tmp_path / "out").iterdir())
