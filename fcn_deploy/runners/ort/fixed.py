"""Run one shape in a session of its own: sizes fixed, buffers that stay, on a GPU as a CUDA graph.

With N, H and W fixed, ONNX Runtime does the shape arithmetic of the graph at opening. None of it is left to the CPU,
which a CUDA graph requires.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.ort.buffers import Buffer, Dims, make_buffer
from fcn_deploy.runners.ort.fixed_session import FixedSession, stream_for
from fcn_deploy.runners.ort.layouts import Layouts, Texts, named
from fcn_deploy.runners.ort.messages import reason_of
from fcn_deploy.runners.ort.options import CUDA, ProviderOptions
from fcn_deploy.runners.ort.session import open_session_of_sizes
from fcn_deploy.system.formatting import count

Stamp = tuple[int, int, int]  # inode, bytes, nanoseconds of the last change
GRAPH: Texts = {"enable_cuda_graph": "1"}
WARM_UPS, RUNS = 3, 7  # the first run chooses kernels, the one after it may be captured
# Seconds after which no further options are tried, if they would open as slowly as the slowest before: where images
# wait, and where the fastest is looked for and opening is not timed.
TRYING_S, TUNING_S = 4.0, 20.0
STREAM = "user_compute_stream"


@dataclass(frozen=True)
class FixedPort:
    """The name, dims and type of an input or an output, all fixed."""

    name: str
    dims: Dims
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class FixedSessions:
    """Open sessions for one shape each of the file that `open_session` opened.

    Attributes:
        layouts: provider options of the sessions.
        device: where the buffers lie.
        stamps: of the files at that time: a session that is opened later must not be of another network.
    """

    name: str
    path: Path
    provider: str
    threads: int | None
    asked: ProviderOptions
    layouts: Layouts
    device: str
    stamps: Mapping[Path, Stamp]

    def open(
        self,
        dims: Sequence[int | str | None],
        image: FixedPort,
        outputs: Sequence[FixedPort],
        limit_s: float = TRYING_S,
    ) -> FixedSession:
        """Return the fastest session for `image`.

        Args:
            dims: of the input as the file has them, numbers and names.
            limit_s: seconds that trying options may take; the first are always tried.

        Raises:
            RunnerError: none can be opened or run; why the first could not.
        """
        started = time.perf_counter()
        self._check_files()
        sizes = sizes_of(dims, image.dims)
        buffers = [self._buffer(port) for port in (image, *outputs)]
        bound = (image.name, buffers[0]), dict(zip((port.name for port in outputs), buffers[1:], strict=True))
        stream, graph = stream_for(buffers), GRAPH if self.provider == CUDA else {}
        graphs = [{**layout, **graph} for layout in self.layouts.fixed]
        tries: list[tuple[Any, Sequence[Texts]]] = [(stream, graphs)]
        if stream is not None:
            tries.append((None, graphs[:2]))
        if graph:
            tries.append((None, self.layouts.fixed[:1]))
        why: list[str] = []
        for used, layouts in tries:
            best, times, failures = _fastest(partial(self._opened, sizes, bound, used), layouts, limit_s)
            why += failures
            if best is not None:
                kept, layout = best
                left = len(layouts) - len(times) - len(failures)
                kept.remark = _remark(layout, times, why, left, time.perf_counter() - started)
                kept.remark += f"; step by step, images are copied {kept.image.way}" if kept.image.way else ""
                if used is not None:
                    kept.try_whole(used)
                return kept
        raise RunnerError(why[0])

    def open_general(self, texts: Texts) -> Any:
        """Return a session for any shape with the options `texts`; RunnerError as for `open`."""
        self._check_files()
        return open_session_of_sizes(self.name, self.path, self.provider, self.threads, self.asked, {}, texts)

    def _check_files(self) -> None:
        if stamps_of(self.stamps) != self.stamps:
            raise RunnerError(f"{self.path.name} has changed since it was opened; open it again")

    def _buffer(self, port: FixedPort) -> Buffer:
        try:
            return make_buffer(port.dims, port.dtype, self.device, self.asked.device_id)
        except Exception as error:  # of onnxruntime or PyTorch: no memory
            raise RunnerError(reason_of(error)) from error

    def _opened(self, sizes: Mapping[str, int], bound: Any, stream: Any, layout: Texts) -> FixedSession:
        texts = layout if stream is None else {**layout, STREAM: str(stream.cuda_stream)}
        session = open_session_of_sizes(self.name, self.path, self.provider, self.threads, self.asked, sizes, texts)
        return FixedSession(session, *bound)


def stamps_of(files: Iterable[Path]) -> dict[Path, Stamp]:
    """Return what distinguishes a file from a later one of its name; nothing for a file that is missing."""
    found = {}
    for file in files:
        with suppress(OSError):
            known = file.stat()
            found[file] = known.st_ino, known.st_size, known.st_mtime_ns
    return found


def sizes_of(dims: Sequence[int | str | None], wanted: Dims) -> dict[str, int]:
    """Return the size of each named dim.

    Raises:
        RunnerError: a dim that is free has no name, or one name has two sizes.
    """
    sizes: dict[str, int] = {}
    for dim, size in zip(dims, wanted, strict=True):
        if dim is None or (isinstance(dim, str) and sizes.setdefault(dim, size) != size):
            raise RunnerError(f"the input's dims {list(dims)} have no name each, by which to fix them")
    return sizes


Candidate = tuple[FixedSession, Texts]


def _fastest(
    make: Callable[[Texts], FixedSession], layouts: Sequence[Texts], limit_s: float
) -> tuple[Candidate | None, dict[str, float], list[str]]:
    """Return the session that runs fastest with its options, the seconds of each tried, and why others failed."""
    best: Candidate | None = None
    times: dict[str, float] = {}
    failures: list[str] = []
    started, slowest = time.perf_counter(), 0.0
    for layout in layouts:
        begun = time.perf_counter()
        if best is not None and begun - started + slowest > limit_s:
            break
        try:
            candidate = make(layout)
            taken = _seconds(candidate)
        except RunnerError as error:
            failures.append(str(error))
            continue
        slowest = max(slowest, time.perf_counter() - begun)
        if best is None or taken < min(times.values()):
            if best is not None:
                best[0].close()
            best = candidate, layout
        else:
            candidate.close()
        times[named(layout)] = taken
    return best, times, failures


def _seconds(session: FixedSession) -> float:
    """Return the median time of a run."""
    for _ in range(WARM_UPS):
        session.run()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        session.run()
        times.append(time.perf_counter() - started)
    return median(times)


def _remark(layout: Texts, times: Mapping[str, float], failures: Sequence[str], left: int, seconds: float) -> str:
    said = f"a session with its sizes fixed, {named(layout)}, opened in {seconds:.1f} s"
    others = [f"{1e3 * taken:.3g} ms with {name}" for name, taken in times.items() if name != named(layout)]
    if others:
        said += f"; it runs, without copies, in {1e3 * times[named(layout)]:.3g} ms, and in {', '.join(others)}"
    said += f"; {count(left, 'other choice')} not tried, for lack of time" if left else ""
    return said + "".join(f"; failed: {failure}" for failure in dict.fromkeys(failures))
