"""Files with damaged bytes: each seed damages one, and one command reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.mutations import mutated
from tests.hostile.onnx_network import network
from tests.hostile.place import Place

SEEDS = 2500


def _pairs() -> Iterator[Pair]:
    commands = list(ON_ONNX)
    for seed in range(SEEDS):
        yield str(seed), commands[seed % len(commands)]


def _run(place: Place, case: str, command: str) -> Outcome:
    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        network(path)
        path.write_bytes(mutated(path.read_bytes(), int(case)))
        return path

    return Outcome.of(place.attempt(make, ON_ONNX[command]), refused=False)


KINDS = [Kind("mutated .onnx", _pairs, _run, default=0, slow=SLOW)]
