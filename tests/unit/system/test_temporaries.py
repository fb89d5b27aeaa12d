"""What a killed process was writing is removed by the next one that writes the same file, and nothing else is."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fcn_deploy.system import temporaries
from fcn_deploy.system.files import atomic_path, check_writable, write_text
from fcn_deploy.system.temporaries import choose_temporary_folder, remove_leftovers, target_of_temporary, temporary

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of files are POSIX's")

WRITING = """
import sys, time
from pathlib import Path
from fcn_deploy.system.temporaries import temporary
with temporary(Path(sys.argv[1]), folder=sys.argv[2] == "folder"):
    print("writing", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def writing(target: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that is in the middle of writing `target`."""
    process = subprocess.Popen([sys.executable, "-c", WRITING, target, how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("how", ["file", "folder"])
def test_what_a_kill_left_goes_with_the_next_write_of_the_same_file_and_what_is_written_stays(tmp_path, how):
    with writing(tmp_path / "a", how) as process:
        write_text(tmp_path / "a", "one")
        remove_leftovers(tmp_path)
        assert sorted(filter(None, map(target_of_temporary, names(tmp_path)))) == ["a"]
        process.kill()
        process.wait()
        temporaries._left.clear()  # as the next process finds it
        write_text(tmp_path / "b", "of another file")
        assert "a" in map(target_of_temporary, names(tmp_path))
        check_writable(tmp_path / "a")
    assert sorted(names(tmp_path)) == ["a", "b"]


def test_a_name_that_is_too_long_for_a_temporary_one_is_found_again(tmp_path):
    target = tmp_path / ("ä" * 127)
    left = temporaries.temporary_path(target)
    left.mkdir()
    write_text(target, "x")
    assert names(tmp_path) == [target.name]


def test_a_file_that_another_process_took_for_a_leftover_gets_another_name(tmp_path, monkeypatch):
    hold, met = temporaries._hold, []

    def swept(path: Path) -> int | None:
        met.append(path)
        if len(met) == 1:
            path.unlink()
        return hold(path)

    monkeypatch.setattr(temporaries, "_hold", swept)
    with temporary(tmp_path / "a", folder=False) as path:
        assert path == met[1] != met[0]
        assert path.exists()
    assert names(tmp_path) == []


def test_an_interruption_of_the_removal_leaves_nothing(tmp_path, monkeypatch):
    remove, raised = temporaries._remove, []

    def interrupted(path: Path) -> None:
        if not raised:
            raised.append(path)
            raise KeyboardInterrupt
        remove(path)

    monkeypatch.setattr(temporaries, "_remove", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary(tmp_path / "a", folder=True):
        pass
    assert names(tmp_path) == []


def _two(target: Path, text: str) -> None:
    with atomic_path(target) as path:
        path.with_name("data").write_text(text)
        path.write_text(text)


def test_an_old_file_is_never_next_to_the_new_files_that_belong_to_its_successor(tmp_path, monkeypatch):
    _two(tmp_path / "graph", "old")
    seen, replace = [], Path.replace

    def move(self: Path, target: Path) -> Path:
        done = replace(self, target)
        seen.append({path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()})
        return done

    monkeypatch.setattr(Path, "replace", move)
    _two(tmp_path / "graph", "new")
    assert seen == [{"data": "old"}, {"data": "new"}, {"data": "new", "graph": "new"}]


def test_an_old_file_is_put_back_if_its_successor_cannot_be_moved(tmp_path, monkeypatch):
    write_text(tmp_path / "graph", "old")
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "data":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(KeyboardInterrupt):
        _two(tmp_path / "graph", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"graph": "old"}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word to children is Linux's")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "child_at_work.py").write_text(
        "import os, time\nfrom fcn_deploy.system.process import answer_parent\n"
        "def work(request, send):\n    send(os.getpid())\n    time.sleep(60)\nanswer_parent(work)\n"
    )
    code = (
        "import sys\nfrom fcn_deploy.system.process import run_in_child\n"
        "run_in_child('child_at_work', None, on_message=lambda pid: print(pid, flush=True))"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    watched = os.pidfd_open(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert select.select([watched], [], [], 10)[0], "the child lives on"
    os.close(watched)


def test_the_folder_for_temporary_files_is_chosen_without_a_trial_file(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setenv("TEMP", str(tmp_path / "own"))
    monkeypatch.setattr(os, "open", None)  # what tempfile tries with
    choose_temporary_folder()
    assert tempfile.gettempdir() == str(tmp_path / "own")
