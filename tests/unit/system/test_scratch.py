"""Folders for temporary files go when their process ends, and those of killed processes with the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from fcn_deploy.system import scratch
from fcn_deploy.system.scratch import scratch_folder
from tests.support import ROOT

HOLD = """
import sys
from fcn_deploy.system.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "activations").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def parent(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_swept", set())
    return tmp_path


def _holding(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a folder in `parent`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(parent)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_there_for_the_block_alone(parent):
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second
        assert first.parent == second.parent == parent
        assert first.stat().st_mode & 0o777 == 0o700
        (first / "a").write_text("a")
    assert list(parent.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), scratch_folder():
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_one_and_what_lives_stays(parent):
    killed, left = _holding(parent)
    living, used = _holding(parent)
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "activations").exists()
        with scratch_folder() as own:
            assert not left.exists()
            assert (used / "activations").exists()
            assert {path for path in parent.iterdir() if path.is_dir()} == {own, used}
    finally:
        living.communicate()
    assert living.returncode == 0
    assert list(parent.iterdir()) == []


def test_nothing_else_in_the_folder_is_touched(parent):
    other = parent / "fcn-deploy-of-somebody"  # without a lock: not ours to judge
    other.mkdir()
    (parent / "notes.lock").write_text("")
    target = parent / "precious"
    target.mkdir()
    (parent / "fcn-deploy-link.lock").symlink_to(target)
    (parent / "fcn-deploy-link").symlink_to(target)
    with scratch_folder():
        pass
    assert sorted(path.name for path in parent.iterdir()) == [
        "fcn-deploy-link", "fcn-deploy-link.lock", "fcn-deploy-of-somebody", "notes.lock", "precious",
    ]  # fmt: skip


def test_a_name_that_another_process_cleans_up_is_given_up_for_a_new_one(parent, monkeypatch):
    names = iter(["taken", "free"])
    monkeypatch.setattr(scratch.secrets, "token_hex", lambda count: next(names))
    with FileLock(parent / "fcn-deploy-taken.lock"), scratch_folder() as folder:
        assert folder.name == "fcn-deploy-free"


def test_without_locks_in_the_file_system_a_folder_is_given_all_the_same(parent, monkeypatch):
    def none(self: FileLock, timeout: float) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", none)
    with scratch_folder() as folder:
        assert folder.is_dir()
    assert list(parent.iterdir()) == []


def test_temporary_folders_of_the_package_are_made_in_one_place():
    allowed = {
        "system/scratch.py",
        "graph/subgraph.py",  # within the folder of its caller
        "choice/opening.py",  # within the folder of the choice, which removes what was left there
        "doctor/probes.py",  # a file of 1 kB for a second
    }
    found = {
        str(path.relative_to(ROOT / "fcn_deploy"))
        for path in (ROOT / "fcn_deploy").rglob("*.py")
        if any(word in path.read_text() for word in ("TemporaryDirectory", "mkdtemp", "mkstemp", "NamedTemporaryFile"))
    }
    assert found <= allowed
