"""One kind of hostile attempt: its cases, the commands that meet them, and what an attempt gives."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.hostile.harness import DEADLINE_S, faults

if TYPE_CHECKING:
    from tests.hostile.harness import Attempt
    from tests.hostile.place import Place

SEED = 20261128
Make = Callable[[Path], Path]
Command = Callable[[Path, Path, Path], list[object]]  # (hostile file, folder of the user's files, folder for outputs)
Pair = tuple[str, str]


class Outcome(NamedTuple):
    """What an attempt gives: its exit code, what is wrong with it, and the reason that it printed."""

    code: int
    faults: list[str]
    reason: str

    @classmethod
    def of(cls, done: Attempt, *, refused: bool = True) -> Outcome:
        return cls(done.code, faults(done, refused=refused), done.reason)


@dataclass(frozen=True)
class Kind:
    """A row of the table in docs/reliability.md.

    Attributes:
        name: the row's name, and what `python -m tests.hostile --kinds` takes.
        pairs: every attempt, as the names of a case and a command.
        run: run one of them in a place.
        default: how many of them the default test run makes: a sample by a fixed seed, every case equally often.
        slow: commands that meet their cases in `make hostile` alone.
        patience_s: how long an attempt may take with what is made ready for it.
    """

    name: str
    pairs: Callable[[], Iterable[Pair]]
    run: Callable[[Place, str, str], Outcome]
    default: int
    slow: tuple[str, ...] = ()
    patience_s: float = 2 * DEADLINE_S

    def sample(self) -> list[Pair]:
        """Return the attempts of the default test run."""
        chance = random.Random(SEED)
        by_case = defaultdict[str, list[Pair]](list)
        for pair in self.pairs():
            if pair[1] not in self.slow:
                by_case[pair[0]].append(pair)
        cases = list(by_case.values())
        chance.shuffle(cases)
        for pairs in cases:
            chance.shuffle(pairs)
        turns = (pairs[turn] for turn in range(max(map(len, cases))) for pairs in cases if turn < len(pairs))
        return [pair for _, pair in zip(range(self.default), turns, strict=False)]


def files_kind(
    name: str,
    cases: Mapping[str, Make],
    commands: Mapping[str, Command],
    *,
    default: int,
    takes: Callable[[str], Iterable[str]] = lambda case: (),
    slow: tuple[str, ...] = (),
) -> Kind:
    """Return the kind of each case's file in each command; `takes` names the commands that may take a case's file."""

    def run(place: Place, case: str, command: str) -> Outcome:
        done = place.attempt(cases[case], commands[command])
        return Outcome.of(done, refused=command not in takes(case))

    return Kind(name, lambda: [(case, command) for case in cases for command in commands], run, default, slow)
