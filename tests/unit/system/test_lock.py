"""One build of a file at a time, between processes, and nothing left behind."""

from __future__ import annotations

import errno
import itertools
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from fcn_deploy.errors import OutputError
from fcn_deploy.system.lock import building
from tests.support.recorded_progress import RecordedProgress

HOLDER = """
import sys, time
from pathlib import Path
from fcn_deploy.system.lock import building
with building(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
    print("done", flush=True)
"""


def _holder(target, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(target), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_build_waits_for_the_first_and_says_so(tmp_path):
    target, recorded = tmp_path / "m.engine", RecordedProgress()
    with _holder(target, 0.5) as process, building(target, recorded):
        assert process.stdout.readline() == "done\n"
    assert recorded.lines == [f"another process is building {target}; waiting for it"]
    assert list(tmp_path.iterdir()) == []


def test_builds_that_wait_go_one_after_the_other(tmp_path):
    target = tmp_path / "m.engine"
    code = HOLDER.replace('print("held", flush=True)', "print(time.monotonic(), flush=True)").replace(
        'print("done", flush=True)', "print(time.monotonic())"
    )
    with _holder(target, 0.5):
        start = [sys.executable, "-c", code, str(target), "0.2"]
        waiting = [subprocess.Popen(start, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        spans = sorted(tuple(map(float, process.communicate()[0].split())) for process in waiting)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert list(tmp_path.iterdir()) == []


def test_a_build_waits_on_when_a_failed_one_removes_the_folder_that_it_made(tmp_path):
    target, recorded = tmp_path / "a" / "m.engine", RecordedProgress()
    with _holder(target, 0.5), building(target, recorded):
        assert target.parent.is_dir()
    assert recorded.lines == [f"another process is building {target}; waiting for it"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
def test_a_build_goes_on_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with building(tmp_path / "m.engine"):
        (tmp_path / "m.engine").write_bytes(b"plan")
    assert [path.name for path in tmp_path.iterdir()] == ["m.engine"]


def test_a_process_that_was_killed_holds_nothing(tmp_path):
    target, recorded = tmp_path / "m.engine", RecordedProgress()
    with _holder(target, 60) as process:
        process.kill()
        process.wait()
        started = time.monotonic()
        with building(target, recorded):
            assert time.monotonic() - started < 5
    assert recorded.lines == []
    assert list(tmp_path.iterdir()) == []


def test_folders_made_for_the_lock_go_again_unless_something_is_in_them(tmp_path):
    with building(tmp_path / "a" / "b" / "m.engine"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with building(tmp_path / "a" / "m.engine"):
        (tmp_path / "a" / "m.engine").write_bytes(b"plan")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["m.engine"]


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), building(tmp_path / "file" / "m.engine"):
        pass


def test_an_interruption_just_after_the_lock_is_taken_leaves_no_file(tmp_path, monkeypatch):
    acquire, met = FileLock.acquire, []

    def interrupted(self: FileLock, *arguments: object, **options: object) -> object:
        taken = acquire(self, *arguments, **options)
        if not met:
            met.append(self)
            raise KeyboardInterrupt
        return taken

    monkeypatch.setattr(FileLock, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt), building(tmp_path / "m.engine"):
        pass
    assert list(tmp_path.iterdir()) == []
