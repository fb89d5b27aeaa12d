"""Two folders change places in one step, or nothing happens."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from fcn_deploy.system.exchange import exchange

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the step is Linux's")


def _folder(path: Path, name: str) -> Path:
    path.mkdir()
    (path / name).touch()
    return path


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = _folder(tmp_path / "one", "a"), _folder(tmp_path / "other", "b")
    assert exchange(one, other)
    assert [path.name for path in (*one.iterdir(), *other.iterdir())] == ["b", "a"]


def test_a_folder_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    one = _folder(tmp_path / "one", "a")
    with pytest.raises(FileNotFoundError, match="other"):
        exchange(one, tmp_path / "other")
    assert [path.name for path in one.iterdir()] == ["a"]


def test_a_system_without_the_step_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = _folder(tmp_path / "one", "a"), _folder(tmp_path / "other", "b")
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: object())
    assert not exchange(one, other)
    assert [path.name for path in (*one.iterdir(), *other.iterdir())] == ["a", "b"]
