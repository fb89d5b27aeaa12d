"""Time a runner in a process of its own, so that it shares neither threads nor memory with the others.

The processes run at the same time and take turns like runners of one process: one works, the others wait for their
next batch. Times are taken inside the child, around the runner alone. A child that crashes ends its row and no other.

Parent and child speak in pickles over the child's standard streams; whatever libraries print there goes to its
standard error.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from typing import IO, Any

from fcn_deploy.benchmark.images import Image
from fcn_deploy.benchmark.timing.timed_runner import InProcess, Timing
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.process import how_it_ended, start_module

CLOSING_S = 20


class InChild:
    """Time the runner `name` in a child process; a context manager that ends the process."""

    def __init__(
        self,
        name: str,
        spec: str,
        source: str,
        *,
        threads: int | None = None,
        model: str | None = None,
        engine: TrtOptions | None = None,
    ) -> None:
        """Open `source` in the runner `spec`, in a fresh process.

        Args:
            model: what a checkpoint holds where its keys leave a choice.
            engine: as for `open_runner`.

        Raises:
            RunnerError: it cannot be opened there.
        """
        self.name = name
        # Batches that the child has; held here too, so that no other array gets the id of one.
        self._sent: dict[int, Image] = {}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self._process = start_module(__name__, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        try:
            self.streams = bool(self._ask("open", spec, source, threads, model, engine))
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def notes(self) -> tuple[str, ...]:
        try:
            found: tuple[str, ...] = self._ask("notes")
        except RunnerError:  # its process ended, which its row says
            return ()
        return found

    def time(self, batch: Image) -> Timing:
        self._send([batch])
        timing: Timing = self._ask("time", id(batch))
        return timing

    def saturate(self, batches: Sequence[Image], seconds: float) -> tuple[int, float]:
        self._send(batches)
        images, taken = self._ask("saturate", [id(batch) for batch in batches], seconds)
        return images, taken

    def answer(self, batches: Sequence[Image], arrivals_s: Sequence[float], patience_s: float) -> list[int]:
        self._send(batches)
        taken: list[int] = self._ask("answer", [id(batch) for batch in batches], arrivals_s, patience_s)
        return taken

    def close(self) -> None:
        """End the process; a second call does nothing."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:  # the process is gone, and what was written last is lost
                    continue
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> InChild:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # Ctrl-C, say: what the process works on may take minutes
            self._process.kill()
        self.close()

    def _send(self, batches: Sequence[Image]) -> None:
        for batch in batches:
            if id(batch) not in self._sent:
                self._ask("take", id(batch), batch)
                self._sent[id(batch)] = batch

    def _ask(self, *request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump(request, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            answer, error = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as failure:
            raise RunnerError(f"{self.name}: {self._ending()}") from failure
        if error is not None:
            raise RunnerError(error)
        return answer

    def _ending(self) -> str:
        try:
            code = self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            return "its process does not answer"
        return f"its process {how_it_ended(code, self._errors)}"


class _Child:
    """The child's side: one runner, which the first request opens, and the batches that were sent."""

    _runner: InProcess

    def __init__(self) -> None:
        self._batches: dict[int, Image] = {}

    def open(self, spec: str, source: str, threads: int | None, model: str | None, engine: TrtOptions | None) -> bool:
        from fcn_deploy.models.network import load_network
        from fcn_deploy.runners.registry import open_runner

        runner = open_runner(
            spec, source, threads=threads, load=partial(load_network, source, model=model), engine=engine
        )
        self._runner = InProcess(runner)
        # Never enabled again: this process creates little garbage, and a collection would be counted as the runner's.
        gc.collect()
        gc.disable()
        return self._runner.streams

    def take(self, key: int, batch: Image) -> None:
        self._batches[key] = batch

    def notes(self) -> tuple[str, ...]:
        return self._runner.notes

    def time(self, key: int) -> Timing:
        return self._runner.time(self._batches[key])

    def saturate(self, keys: Sequence[int], seconds: float) -> tuple[int, float]:
        return self._runner.saturate([self._batches[key] for key in keys], seconds)

    def answer(self, keys: Sequence[int], arrivals_s: Sequence[float], patience_s: float) -> list[int]:
        return self._runner.answer([self._batches[key] for key in keys], arrivals_s, patience_s)


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the parent closes the stream."""
    child = _Child()
    while True:
        try:
            name, *arguments = pickle.load(requests)
        except EOFError:
            return
        answer: tuple[Any, str | None]
        try:
            answer = getattr(child, name)(*arguments), None
        except FcnDeployError as error:
            answer = None, str(error)
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def main() -> None:
    """Run the child. It ignores Ctrl-C, which reaches every process of a terminal: the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
