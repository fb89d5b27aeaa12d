"""Name every hostile attempt, so that a child process can be asked for it, and count them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hostile.commands import ON_ONNX
from tests.hostile.crowd import Job
from tests.hostile.harness import faults
from tests.hostile.mutations import mutated
from tests.hostile.onnx_cases import CARDS, EXTERNAL, GRAPHS, ODD, network, takes
from tests.hostile.place import Make, Place

CASES: dict[str, dict[str, Make]] = {"external data": EXTERNAL, "graphs": GRAPHS, "odd": ODD, "cards": CARDS}
MUTATED = "mutated .onnx"


def jobs(kind: str, mutations: int = 0) -> Iterator[Job]:
    """Yield the attempts of a kind: every case in every command, or `mutations` files, each in one command."""
    if kind == MUTATED:
        commands = list(ON_ONNX)
        for seed in range(mutations):
            yield Job(kind, str(seed), commands[seed % len(commands)])
        return
    for case in CASES[kind]:
        for command in ON_ONNX:
            yield Job(kind, case, command)


def run(place: Place, kind: str, case: str, command: str) -> tuple[int, list[str], str]:
    """Run one attempt; its exit code, what is wrong with it, and the reason that it gave."""
    make = _mutation(int(case)) if kind == MUTATED else CASES[kind][case]
    done = place.attempt(make, ON_ONNX[command])
    refused = kind not in (MUTATED, "odd") and command not in takes(kind, case)
    return done.code, faults(done, refused=refused), done.reason


def _mutation(seed: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        network(path)
        path.write_bytes(mutated(path.read_bytes(), seed))
        return path

    return make
