"""Hostile and odd ONNX files in every command that takes one: one line, exit code 1, and nothing left behind.

Here each case meets a few commands; `make hostile` runs each in every one, and damaged files besides.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.hostile.commands import ON_ONNX
from tests.hostile.harness import faults
from tests.hostile.jobs import CASES, run
from tests.hostile.onnx_cases import hub_cache
from tests.hostile.place import Place

COMMANDS_EACH = 3
# The others write little and start fast; these meet their cases in `make hostile`.
SLOW = ("choose", "bench", "build-engine", "int8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("hostile"))


def _pairs() -> list[tuple[str, str, str]]:
    """Each case with the next few commands, so that every command meets many."""
    commands = itertools.cycle(name for name in ON_ONNX if name not in SLOW)
    return [
        (kind, case, command)
        for kind, cases in CASES.items()
        for case in cases
        for command in itertools.islice(commands, COMMANDS_EACH)
    ]


@pytest.mark.parametrize(("kind", "case", "command"), _pairs())
def test_a_hostile_file_is_refused_in_one_line(place, kind, case, command):
    _, found, reason = run(place, kind, case, command)
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
    reasons = {run(place, "graphs", case, command)[2] for command in commands}
    assert len(reasons) == 1, reasons


def test_each_fault_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    make = CASES["graphs"]["empty"]
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
