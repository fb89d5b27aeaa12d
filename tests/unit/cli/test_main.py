"""What a shell sees of the command line: exit codes, one line an error, odd streams."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fcn_deploy.cli import main as main_module
from fcn_deploy.errors import DataError, SearchError


def _run_with(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> int:
    def command(**_: object) -> int:
        if error is not None:
            raise error
        return 0

    monkeypatch.setattr(main_module.cli, "main", command)
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (DataError("x.txt is empty"), 1, "error: x.txt is empty\n"),
        (PermissionError(13, "Permission denied", "/a/b"), 1, "error: /a/b: permission denied"),
        (OSError(28, "No space left on device"), 1, "error: no space is left on the device"),
        (MemoryError("cannot allocate 9 GiB"), 1, "error: out of memory (cannot allocate 9 GiB)"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_an_expected_error_is_one_line_and_an_exit_code(monkeypatch, capfd, error, code, line):
    monkeypatch.setattr(main_module, "discard_output", lambda: None)
    assert _run_with(monkeypatch, error) == code
    errors = capfd.readouterr().err
    assert errors.startswith(line)
    assert len(errors.splitlines()) == (1 if line else 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_fails_after_a_signal_was_interrupted(monkeypatch, capfd, number, code):
    """As an import of PyTorch does that a Ctrl-C broke off: somebody else's error comes of it."""

    def command(**_: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            raise AttributeError("module 'torch._dynamo' has no attribute 'exc'")

    monkeypatch.setattr(main_module.cli, "main", command)
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    assert ended.value.code == code
    assert capfd.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("kind", "code"), [(SearchError, 3), (DataError, 1)])
def test_a_search_that_finds_nothing_within_its_limits_ends_as_a_gate_that_fails(monkeypatch, capfd, kind, code):
    assert _run_with(monkeypatch, kind("no choice of layers passed")) == code
    assert capfd.readouterr().err == "error: no choice of layers passed\n"


def test_a_bug_is_a_traceback(monkeypatch):
    monkeypatch.setattr(main_module.cli, "main", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main_module.main()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fcn_deploy", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: no space is left on the device; free some or choose another folder\n"
    )


def test_a_stream_without_the_signs_of_a_table_gets_question_marks(tmp_path):
    code = "import sys; from fcn_deploy.cli import main as m; m._prepare_process(); print('a ✓ Δ b')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={"PYTHONIOENCODING": "cp1252", "PATH": ""}, check=True
    )
    assert done.stdout.split() == [b"a", b"?", b"?", b"b"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["exprot"], 2, "No such command 'exprot'. Did you mean 'export'? (see fcn-deploy --help)"),
        (["bench", "--fram"], 2, "No such option '--fram'. Did you mean '--from'? (see fcn-deploy bench --help)"),
        (
            ["quantize", "demo", "-o", "x"],
            2,
            "Missing option '--precision'. Choose from: fp16, bf16, int8, int8+fp16, fp8",
        ),
        (["predict", "demo"], 2, "Missing argument 'IMAGES...'. (see fcn-deploy predict --help)"),
        (["export", "demo", "--checkpoint", "x.pth"], 2, "--checkpoint goes with a recipe (.toml)"),
        (["export", "none.pth"], 1, "none.pth does not exist"),
    ],
)
def test_every_mistake_is_one_line_of_one_style(shell, arguments, code, message):
    found = shell(*arguments)
    assert (found.code, found.out) == (code, "")
    assert found.err.startswith(f"error: {message}")
    assert len(found.err.splitlines()) == 1
