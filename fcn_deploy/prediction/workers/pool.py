"""Give images to processes that decode and write them, over memory that they share with this one.

Everything here runs in the thread that passes images along. A process answers its tasks in order, so what it was asked
is a queue here, and an answer needs no name.
"""

from __future__ import annotations

import os
import pickle
import selectors
import socket
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import IO, Any, Generic, TypeVar

from fcn_deploy.errors import RunnerError
from fcn_deploy.prediction.image_io import ImageIO
from fcn_deploy.prediction.image_states import FinishedImage, LabelledImage, LoadedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.pipeline import Pending
from fcn_deploy.prediction.stage_clock import DECODING, WRITING, StageClock
from fcn_deploy.prediction.workers.slots import Slots
from fcn_deploy.prediction.workers.tasks import Answer, LoadTask, Task, WriteTask, share
from fcn_deploy.system.process import how_it_ended, start_module

Result = TypeVar("Result")
_ENVIRONMENT = {
    # glibc gives memory of an image's size back to the system after each one and takes it again, page by page.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    # NumPy's BLAS starts a thread for each core.
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip
# Tasks of a process that are not answered. So many fit into a socket, however long their paths are: this process never
# waits to send while the other one waits to send too.
_MOST_ASKED = 8


class _Expected(Generic[Result]):
    """A result that a process will give."""

    def __init__(
        self, receive: Callable[[], None], finish: Callable[[Answer], Result], answer: Answer | None = None
    ) -> None:
        self._receive, self._finish = receive, finish
        self.answer = answer

    def result(self) -> Result:
        while self.answer is None:
            self._receive()
        if isinstance(self.answer.value, Exception):
            raise self.answer.value
        return self._finish(self.answer)

    def cancel(self) -> None:
        """Do nothing: `ImageProcesses.close` drops what is not begun."""


class _Process:
    """One process, with what it was asked and has not answered."""

    def __init__(self, memory: int) -> None:
        """Start it, which takes it a moment; OSError if it cannot be started."""
        self.expected: deque[_Expected[Any]] = deque()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = start_module(
                "fcn_deploy.prediction.workers.process", str(theirs.fileno()), str(memory), environment=_ENVIRONMENT,
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors,
            )  # fmt: skip
        self.connection = Connection(ours.detach())

    def ask(self, task: object) -> None:
        """Send a task; RunnerError if the process has ended."""
        try:
            self.connection.send_bytes(pickle.dumps(task))
        except ConnectionError:
            raise self._lost() from None

    def receive(self) -> None:
        """Take the answer to the oldest task; RunnerError if the process has ended."""
        try:
            answer: Answer = pickle.loads(self.connection.recv_bytes())
        except (EOFError, ConnectionError):
            raise self._lost() from None
        self.expected.popleft().answer = answer

    def _lost(self) -> RunnerError:
        how = how_it_ended(self._child.wait(), self._errors)
        return RunnerError(f"a process that decodes and writes images {how}; continue with --skip-existing")

    def close(self) -> None:
        """Wait until it has finished its current work."""
        self.connection.close()
        self._child.wait()
        self._errors.close()


def _load_of(process: _Process) -> int:
    return len(process.expected)


class ImageProcesses:
    """A pool of processes, with the interface of `ImageWorkers`."""

    def __init__(self, count: int) -> None:
        """Start `count` processes; OSError if they, or the memory they share, cannot be had."""
        self._begun = False
        with ExitStack() as stack:
            self._memory = os.memfd_create("fcn-deploy images")
            stack.callback(os.close, self._memory)
            self._threads = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="frame"))
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._processes = []
            for _ in range(count):
                process = _Process(self._memory)
                stack.callback(process.close)
                self._processes.append(process)
                self._selector.register(process.connection, selectors.EVENT_READ, process)
            self._stack = stack.pop_all()

    def begin(self, image_io: ImageIO, images: int, clock: StageClock) -> None:
        """Say how images are decoded and written, and how many are held at most; OSError without memory for them."""
        self._image_io, self._clock = image_io, clock
        self._slots = Slots(self._memory, images)
        self._begun = True
        self._free = list(range(images))
        self._taken: dict[int, int] = {}  # index of an image -> its slot
        for process in self._processes:
            process.ask((image_io, images))

    def load(self, item: LazyImage) -> Pending[LoadedImage | FinishedImage]:
        slot = self._taken[item.index] = self._free.pop()
        if not item.portable:
            return self._threads.submit(lambda: share(self._image_io.load(item), self._slots, slot))

        def finish(answer: Answer) -> LoadedImage | FinishedImage:
            self._clock.add_work(DECODING, answer.seconds)
            if isinstance(answer.value, FinishedImage):
                return answer.value
            return self._slots.loaded(slot, item.index, item.name, answer.value)

        return self._ask(LoadTask(item, slot), finish)

    def write(self, value: LabelledImage | FinishedImage) -> Pending[FinishedImage]:
        if isinstance(value, FinishedImage):
            self._free.append(self._taken.pop(value.index))
            return _Expected(self._receive, lambda answer: value, Answer(value, 0))
        loaded, labels, sure = value.loaded, value.labels, value.confidence is not None
        slot, shape = self._taken.pop(loaded.index), loaded.image.shape  # the labels were kept in the slot

        def finish(answer: Answer) -> FinishedImage:
            self._clock.add_work(WRITING, answer.seconds)
            self._slots.free(slot, shape)
            self._free.append(slot)
            finished: FinishedImage = answer.value
            return finished

        return self._ask(WriteTask(loaded.index, loaded.name, slot, shape, labels.dtype.str, sure), finish)

    def close(self) -> None:
        if self._begun:
            self._slots.stop()
        self._stack.close()

    def _ask(self, task: Task, finish: Callable[[Answer], Result]) -> _Expected[Result]:
        self._receive(0)
        while len((process := min(self._processes, key=_load_of)).expected) >= _MOST_ASKED:
            self._receive()
        expected = _Expected(self._receive, finish)
        process.expected.append(expected)
        process.ask(task)
        return expected

    def _receive(self, timeout: float | None = None) -> None:
        """Take the answers that are there; wait for one up to `timeout` seconds, or as long as it takes."""
        for key, _ in self._selector.select(timeout):
            key.data.receive()
