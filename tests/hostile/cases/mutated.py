"""Files with damaged bytes: each seed damages one file, and one command reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.hostile.bases import BASES, Base, whole_files
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.mutations import mutated
from tests.hostile.place import Place

DEFAULT = 8  # of each kind of file


def kind(name: str, base: Base) -> Kind:
    """Return the kind of one file's damaged copies."""

    def pairs() -> Iterator[Pair]:
        commands = list(base.commands)
        for seed in range(base.seeds):
            yield str(seed), commands[seed % len(commands)]

    def run(place: Place, case: str, command: str) -> Outcome:
        def make(folder: Path) -> Path:
            files = whole_files(name)
            names = list(files)
            hit = names[int(case) // len(base.commands) % base.damaged]
            for own, data in files.items():
                (folder / own).write_bytes(mutated(data, int(case)) if own == hit else data)
            return folder / names[0]

        done = place.attempt(make, base.commands[command])
        if base.rewritten and done.code == 0:
            own = next(iter(whole_files(name)))
            done = replace(done, changed=tuple(each for each in done.changed if each != own))
        return Outcome.of(done, refused=False)

    return Kind(name, pairs, run, DEFAULT, base.slow)


KINDS = [kind(name, base) for name, base in BASES.items()]
