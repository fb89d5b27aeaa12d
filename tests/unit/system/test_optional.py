"""Optional packages."""

from __future__ import annotations

import sys

import pytest

from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require


def test_a_folder_that_an_uninstall_left_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "was_installed").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(
        MissingDependencyError, match=r"is not installed, only .*was_installed is left; try: pip install"
    ):
        require("was_installed")
