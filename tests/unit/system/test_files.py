"""Files are written whole or not at all, and a failed write is one line."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.system.files import (
    atomic_path,
    check_current_folder,
    check_writable,
    os_error_line,
    output_error,
    sha256,
    write_bytes,
    write_text,
)
from fcn_deploy.system.temporaries import remove_leftovers


def test_the_old_content_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, DataError])
def test_any_exception_leaves_the_folder_as_it_was(tmp_path, error):
    def write_half() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error("stop")

    with pytest.raises(error):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_companions_written_next_to_the_file_move_with_it(tmp_path):
    with atomic_path(tmp_path / "m.onnx") as temporary:
        temporary.write_text("graph")
        temporary.with_name("m.onnx.data").write_text("weights")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"m.onnx": "graph", "m.onnx.data": "weights"}


def test_missing_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "ü")
    assert (tmp_path / "a" / "b" / "c.txt").read_text(encoding="utf-8") == "ü"


def test_a_folder_in_the_place_of_the_file_is_reported(tmp_path):
    with pytest.raises(OutputError, match="it is a folder; give a file name"):
        write_text(tmp_path, "x")


def test_a_file_in_the_place_of_a_folder_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*x\.txt"):
        write_text(tmp_path / "file" / "x.txt", "x")


def test_a_full_disk_reported_in_a_librarys_own_words_is_the_same_error(tmp_path):
    with (
        pytest.raises(OutputError, match="no space is left on the device; free some or choose another folder"),
        atomic_path(tmp_path / "a"),
    ):
        raise RuntimeError("I/O error: No space left on device (os error 28)")


def test_a_file_size_limit_of_the_system_is_one_line_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource", reason="file size limits are POSIX")
    code = (
        "import resource, signal\nfrom pathlib import Path\nfrom fcn_deploy.system.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        f"write_bytes(Path({str(tmp_path / 'big')!r}), bytes(2000))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "OutputError: cannot write" in done.stderr
    assert "larger than the file system or a limit" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_writable_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError):
        check_writable(Path("/proc/no/such/place"))


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_has_the_rights_that_the_umask_grants_whatever_its_writer_gave_it(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
        temporary.chmod(0o600)
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_the_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_link_to_nothing_gets_its_file_and_a_link_among_the_folders_stays(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "b.txt")
    monkeypatch.chdir(tmp_path)
    write_text(Path("folder/a.txt"), "a")
    write_text(Path("link"), "b")
    assert {path.name: path.read_text() for path in (tmp_path / "real").iterdir()} == {"a.txt": "a", "b.txt": "b"}
    assert (tmp_path / "folder").is_symlink()
    assert (tmp_path / "link").is_symlink()


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(OutputError, match="it is a device or a pipe; give a file name"):
        write_text(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()


def test_an_input_that_cannot_be_read_inside_the_block_is_not_called_a_failed_write(tmp_path):
    def copy() -> None:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes((tmp_path / "missing").read_bytes())

    with pytest.raises(FileNotFoundError):
        copy()
    assert list(tmp_path.iterdir()) == []


def test_check_writable_makes_no_folder(tmp_path):
    check_writable(tmp_path / "new" / "deep" / "x.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127])
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path, name):
    write_bytes(tmp_path / name, b"one")
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_bytes(b"two")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"two")]


def test_bytes_that_cannot_be_moved_in_place_leave_nothing(tmp_path, monkeypatch):
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="no space is left"):
        write_bytes(tmp_path / "sub" / "a.png", b"whole")
    assert list((tmp_path / "sub").iterdir()) == []


def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path):
    kept = [tmp_path / "x" / ".cache", tmp_path / ".a.png.tmp", tmp_path / "a.png.0123abcd.tmp"]
    for folder in (*kept, tmp_path / "x" / ".a b.png.0123abcd.tmp", tmp_path / ".a.npy.00000000.tmp"):
        folder.mkdir(parents=True)
    (tmp_path / ".a.npy.00000000.tmp" / "a.npy").write_bytes(b"half")
    (tmp_path / "x" / ".a\nb.png.89abcdef.tmp").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "x") == sorted(kept)


def test_what_is_denied_comes_without_advice_for_writing():
    error = PermissionError(errno.EACCES, "Permission denied", "m.onnx")
    assert os_error_line(error) == "m.onnx: permission denied; ask its owner, or work as a user who may use it"
    assert str(output_error(Path("m.onnx"), error)).endswith("permission denied; choose a folder you may write to")


def test_a_name_that_is_too_long_comes_with_the_limit(tmp_path):
    with pytest.raises(OutputError, match=r"longer than the file system takes \(255 bytes"):
        write_text(tmp_path / ("x" * 300), "")


def test_a_removed_current_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    check_current_folder()
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match="the current folder was removed; change to another one"):
        check_current_folder()
