"""Run many attempts in a child process, which a library may crash or hang: the next attempt gets a new child."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.cases import all_kinds
from tests.hostile.harness import PRINTED

STARTING_S = 60.0


@dataclass(frozen=True)
class Job:
    """One attempt: a case and a command of a kind in `tests/hostile/cases/`."""

    kind: str
    case: str
    command: str

    def __str__(self) -> str:
        return f"{self.kind} {self.case} {self.command}"


@dataclass(frozen=True)
class Result:
    """What is wrong with an attempt; () if nothing is. `code` is its exit code, None where the child died."""

    job: Job
    code: int | None
    faults: tuple[str, ...]
    reason: str = ""


def run_all(jobs: Iterable[Job], processes: int = 1) -> Iterator[Result]:
    """Yield the result of each job as it is known, from several children at once."""
    waiting, done = iter(jobs), queue.Queue[Result | None]()
    lock = threading.Lock()

    def next_job() -> Iterator[Job]:
        while True:
            with lock:
                job = next(waiting, None)
            if job is None:
                return
            yield job

    def work() -> None:
        try:
            for result in _one_after_another(next_job()):
                done.put(result)
        finally:
            done.put(None)

    for _ in range(processes):
        threading.Thread(target=work, daemon=True).start()
    for _ in range(processes):
        yield from iter(done.get, None)


def _one_after_another(jobs: Iterable[Job]) -> Iterator[Result]:
    child: _Child | None = None
    for job in jobs:
        if child is None:
            child = _Child()
        result, alive = child.run(job)
        yield result
        if not alive:
            child.close()
            child = None
    if child is not None:
        child.close()


class _Child:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hostile-")
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed with the child)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.crowd", self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._patience_s = STARTING_S  # imports are in the first attempt

    def run(self, job: Job) -> tuple[Result, bool]:
        """Return the result, and whether the child lives on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([job.kind, job.case, job.command]) + "\n")
        self._process.stdin.flush()
        patience_s = self._patience_s + all_kinds()[job.kind].patience_s
        ready, _, _ = select.select([self._process.stdout], [], [], patience_s)
        self._patience_s = 0.0
        if not ready:
            return Result(job, None, ("hang",)), False
        line = self._process.stdout.readline()
        if not line:
            return Result(job, None, (f"crash: exit code {self._process.wait()} {self._last_words()}",)), False
        answer: Mapping[str, Any] = json.loads(line)
        return Result(job, answer["code"], tuple(answer["faults"]), answer["reason"]), True

    def _last_words(self) -> str:
        self._errors.seek(0)
        printed = Path(self._folder.name, PRINTED[1])  # by the attempt, if it had begun
        text = printed.read_text(encoding="utf-8", errors="replace") if printed.exists() else self._errors.read()
        return "".join(text.splitlines()[-1:])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        self._folder.cleanup()


def _serve(base: Path) -> None:
    """Answer each line on standard input; what commands and libraries print goes nowhere."""
    from tests.hostile.place import Place

    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        place = Place(base)
        for line in sys.stdin:
            kind, case, command = json.loads(line)
            outcome = all_kinds()[kind].run(place, case, command)
            print(json.dumps(outcome._asdict()), file=answers, flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
