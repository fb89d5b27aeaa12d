"""Hostile files, names and moments: one line, exit code 1, nothing of the user's changed and nothing left behind.

Here a sample of the attempts of each kind in `tests/hostile/cases/`; `make hostile` runs all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.__main__ import table
from tests.hostile.cases import all_kinds
from tests.hostile.cases.external_data import hub_cache
from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.graph_changes import raw
from tests.hostile.harness import faults
from tests.hostile.place import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(
    ("kind", "case", "command"), [(name, *pair) for name, kind in all_kinds().items() for pair in kind.sample()]
)
def test_a_hostile_attempt_ends_in_one_line_and_harms_nothing(place, kind, case, command):
    _, found, reason = all_kinds()[kind].run(place, case, command)
    assert found == [], reason


@pytest.mark.parametrize("command", [name for name in ON_ONNX if name not in (*SLOW, "adopt", "watch")])
def test_links_of_a_hub_cache_are_followed(place, command):
    done = place.attempt(hub_cache, ON_ONNX[command])
    if done.code:
        assert done.reason.startswith("error: "), done.err
        assert "external data" not in done.reason
    assert faults(done, refused=False) == []


def test_the_packaged_repository_of_a_hub_cache_holds_files_and_no_links(place):
    assert place.attempt(hub_cache, ON_ONNX["package"]).code == 0
    version = place.base / "out" / "models" / "m" / "1"
    found = {path.name: path for path in version.iterdir()}
    assert set(found) == {"model.onnx", "weights.bin"}
    assert not any(path.is_symlink() for path in found.values())
    assert found["weights.bin"].stat().st_size == 324


@pytest.mark.parametrize("case", ["no-outputs", "cycle", "dims-more", "chain"])
def test_every_command_gives_the_same_reason(place, case):
    commands = ("inspect", "audit", "fp16", "package", "predict", "evaluate", "adopt", "watch", "export")
    commands = commands[:: 4 if case == "chain" else 1]  # each reads its 100,000 nodes for a second
    reasons = {all_kinds()["graphs"].run(place, case, command).reason for command in commands}
    assert len(reasons) == 1, reasons


def test_each_fault_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    make = raw(b"")
    assert faults(place.attempt(lambda folder: place.own / "good.onnx", ON_ONNX["inspect"])) == ["exit code 0"]

    def raising(*arguments: object, **options: object) -> None:
        raise ValueError("odd")

    def endless(*arguments: object, **options: object) -> None:
        while True:
            pass

    monkeypatch.setattr("fcn_deploy.inspection.inspect.inspect", raising)
    assert faults(place.attempt(make, ON_ONNX["inspect"])) == ["traceback: ValueError: odd"]
    monkeypatch.setattr("fcn_deploy.inspection.inspect.inspect", endless)
    monkeypatch.setattr("tests.hostile.harness.DEADLINE_S", 0.2)
    assert faults(place.attempt(make, ON_ONNX["inspect"])) == ["hang"]


def test_a_run_of_some_kinds_keeps_the_lines_of_the_others():
    old = "| kind | attempts |\n|---|---|\n| odd | 7 | 0 |\n| cards | 8 | 0 |\n| gone | 1 | 0 |\n"
    lines = table(old, {"cards": "| cards | 9 | 1 |"}).splitlines()
    assert lines[2:] == ["| cards | 9 | 1 |", "| odd | 7 | 0 |"]
