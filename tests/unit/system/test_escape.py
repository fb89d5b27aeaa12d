"""Text from outside leaves as it is seen, not as a terminal or a spreadsheet would obey it."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcn_deploy.system.escape import cell, visible, visible_line
from tests.support import ROOT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("road\tcar\n", "road\tcar\n"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        (os.fsdecode(b"m\xff.onnx") if os.name != "nt" else "m\udcff.onnx", "m\\xff.onnx"),
        ("\ud800", "\\ud800"),
        ("Straße 道路 🚗", "Straße 道路 🚗"),
    ],
)
def test_what_a_terminal_obeys_is_shown_escaped(text: str, shown: str):
    assert visible(text) == shown
    assert shown.encode().decode() == shown


def test_a_reason_is_one_line():
    assert visible_line("it broke:\n   at a\n\n   at b\n") == "it broke: at a at b"
    assert visible_line("a  b") == "a  b"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(text: str):
    assert str(cell(text)).startswith("'")


@pytest.mark.parametrize("value", [-1, 2.5, "road", "a=b", "", None])
def test_other_cells_stay(value: object):
    assert cell(value) == value


# What prints, by module: standard output and error have one door, and a child process sends JSON to its parent.
DOORS = {"cli/console.py": {"click.echo", "Console"}, "system/process.py": {"print"}, "__main__.py": {"os.write"}}
PRINTING = re.compile(
    r"print|pprint|input|click\.(secho|echo|echo_via_pager|prompt|confirm)|(rich\.)?print(_json)?|(\w+\.)*Console"
    r"|.*std(out|err)(__)?(\.buffer)?\.write(lines)?|os\.write|warnings\.warn|traceback\.print_\w+"
    r"|(logging|logger|log)\.(debug|info|warning|error|exception|critical)"
)
# What writes text into files, by module, and why that has nothing that is obeyed.
WRITING = {
    "cli/console.py": "leave calls visible",
    "training/page.py": "it calls visible",
    "benchmark/gate/github.py": "it calls visible",
    "prediction/report.py": "it calls cell",
    "choice/outputs/tried_file.py": "it calls cell",
    "choice/outputs/recipe_file.py": "it calls visible",
    "packaging/triton.py": "strings of the configuration are JSON's, and class names have no control characters",
    "data/writing.py": "its names are numbers, and class names have no control characters",
    "data/splits.py": "a list names files as they are, or it would not open again",
    "prediction/cluster/resources.py": "/dev/null",
    "engine/builder/build.py": "JSON", "training/loop.py": "nothing", "training/run.py": "JSON",
    "benchmark/record/file.py": "JSON", "quantization/plan.py": "JSON", "system/serialization/step_log.py": "JSON",
}  # fmt: skip
SOURCES = sorted((ROOT / "fcn_deploy").rglob("*.py"))


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _name(path: Path) -> str:
    return path.relative_to(ROOT / "fcn_deploy").as_posix()


def _writes_text(called: str, node: ast.Call) -> bool:
    given = [*node.args, *(word.value for word in node.keywords)]
    modes = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return called.endswith("write_text") or (
        called.endswith("open") and any(re.fullmatch(r"[wax]t?\+?", mode) for mode in modes)
    )


def test_text_leaves_by_one_door():
    found = {_name(path): {called for called, _ in _calls(path) if PRINTING.fullmatch(called)} for path in SOURCES}
    assert {name: called for name, called in found.items() if called} == DOORS, "print by fcn_deploy.cli.console"


def test_whatever_writes_text_into_files_is_known_to_escape_it():
    found = {_name(path) for path in SOURCES if any(_writes_text(*call) for call in _calls(path))}
    assert found == WRITING.keys(), "write by `leave` or `write_text`, escaped, and say here how"
    for name, why in WRITING.items():
        escaper = why.rpartition("calls ")[2]
        if escaper in ("visible", "cell"):
            assert re.search(
                rf"\b{escaper}(_line)?\(|map\({escaper},", (ROOT / "fcn_deploy" / name).read_text("utf-8")
            ), name


def test_json_is_in_ascii_and_cells_of_csv_are_quoted():
    for path in SOURCES:
        calls = list(_calls(path))
        assert "ensure_ascii" not in {word.arg for _, call in calls for word in call.keywords} or (
            _name(path) == "choice/outputs/recipe_file.py"
        ), path
        if any(re.fullmatch(r"csv\.(writer|DictWriter)", called) for called, _ in calls):
            assert "system.escape import cell" in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    "line", ["print(1)", "click.secho('')", "sys.stdout.write('')", "sys.__stderr__.write('')", "rich.print(1)",
             "Console(stderr=True)", "rich.console.Console()", "sys.stdout.buffer.write(b'')", "logging.warning('')",
             "traceback.print_exc()"],
)  # fmt: skip
def test_other_doors_would_be_seen(line: str):
    call = ast.parse(line, mode="eval").body
    assert isinstance(call, ast.Call)
    assert PRINTING.fullmatch(ast.unparse(call.func))
