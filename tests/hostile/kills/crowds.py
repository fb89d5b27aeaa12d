"""Run a command in several processes at once, all on the same outputs, and say what is wrong with what they leave."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.hostile.kills.attempts import Bench, Undisturbed
from tests.hostile.kills.files import Files, contents

SIZES = (2, 4)


def crowds(count: int, seed: int) -> Iterator[tuple[int, bool, random.Random]]:
    """Yield `count` crowds: how many processes, whether every other one is the command's rival, and its chances."""
    chosen = random.Random(seed)
    for index in range(count):
        yield SIZES[index % len(SIZES)], index // len(SIZES) % 2 == 1, chosen


def together(bench: Bench, wanted: Undisturbed, rival: Files, crowd: tuple[int, bool, random.Random]) -> list[str]:
    """Start the processes within the time of one, and return what went wrong, each line starting with its kind."""
    size, mixed, chosen = crowd
    bench.empty()
    jobs = [
        bench.job(
            rival=mixed and bool(rival) and number % 2 == 1,
            number=number,
            delay_s=chosen.uniform(0, wanted.seconds / size) if number else 0.0,
        )
        for number in range(size)
    ]
    ended = bench.together(jobs)
    after = contents(bench.root)
    found = [line for number, done in enumerate(ended) for line in _ending(bench, number, done)]
    if not any(done["code"] in bench.command.codes for done in ended):
        found.append("lost: every process failed")
    found += bench.whole(after, [wanted.files, rival], stopped=False)
    found += [f"lost: {name}" for name in sorted(wanted.files.keys() - after.keys()) if not mixed]
    found += [f"left behind: {name}" for name in sorted(after.keys() - wanted.files.keys() - rival.keys())]
    return [f"{line} ({size} processes{', half of them the rival' if mixed else ''})" for line in found]


def _ending(bench: Bench, number: int, done: dict[str, object]) -> Iterator[str]:
    errors = bench.errors(number)
    last = errors.splitlines()[-1:] or [""]
    if done["hung"]:
        yield "hang: a process"
    elif done["code"] not in bench.command.codes and (done["code"] != 1 or not last[0].startswith("error: ")):
        yield f"wrong exit code: {done['code']}: {errors[-300:]}"
    if "Traceback" in errors:
        yield f"wrong exit code: traceback: {errors[-600:]}"
    if done["left"]:
        yield f"left behind: {done['left']} processes"
