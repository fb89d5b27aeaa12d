"""A GPU of host memory whose streams run as late, or in as odd an order, as CUDA permits.

Work put on a stream waits there. With `seed=None` it runs only when the host waits for it, and nothing runs that the
waiting does not need; with a seed, streams also advance at random at every call. Code that forgot an event or a wait
reads what was never written, or overwrites what was not yet read, under one or the other.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GARBAGE, FREED = 0xA5, 0xEE


class IllegalAccessError(Exception):
    """What a real GPU answers with an illegal address or, worse, with wrong numbers."""


@dataclass
class Work:
    """An entry of a stream: something to run, a wait for (event, record number), or such a record."""

    run: Callable[[], None] | None = None
    wait: tuple[Any, int] | None = None
    record: tuple[Any, int] | None = None


@dataclass(eq=False)
class StreamState:
    handle: int
    queue: deque[Work] = field(default_factory=deque)
    captured: list[Work] | None = None


@dataclass(eq=False)
class EventState:
    """`recorded` counts calls of record, `reached` those that the device has come to, the last at `reached_s`."""

    recorded: int = 0
    reached: int = 0
    reached_s: float = 0.0
    streams: dict[int, StreamState] = field(default_factory=dict)


class Gpu:
    """Memory, streams, contexts and faults of one device.

    Attributes:
        calls: names of the calls that may fail, in order.
        made: how many of each kind of thing were made; configs: the runtime configurations.
        stacks: thread -> contexts pushed.
    """

    def __init__(self, seed: int | None = None, total_bytes: int = 1 << 28) -> None:
        self.total_bytes = total_bytes
        self.blocks: dict[int, np.ndarray] = {}
        self.pinned: dict[int, tuple[int, Any]] = {}
        self.streams: dict[int, StreamState] = {}
        self.stacks: dict[int, list[Any]] = {}
        self.calls: list[str] = []
        self.configs: list[Any] = []
        self.made: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._fail_at: int | None = None
        self._fail_next: str | None = None
        self._random = None if seed is None else random.Random(seed)
        self._next_address = 0x7F0000000000
        self._next_handle = 0x1000

    # Faults

    def fail_call(self, number: int) -> None:
        """The `number`th call from now fails, whichever it is."""
        self._fail_at = len(self.calls) + number

    def fail_next(self, name: str) -> None:
        """The next call of that name fails."""
        self._fail_next = name

    def fails(self, name: str) -> bool:
        """Count a call; whether it is to fail. Streams may advance meanwhile."""
        assert self.stack, f"{name} was called without a current context"
        self.advance_at_random()
        failing = self._fail_at == len(self.calls) or self._fail_next == name
        self.calls.append(name)
        if failing:
            self._fail_at = self._fail_next = None
        return failing

    # Contexts

    @property
    def stack(self) -> list[Any]:
        return self.stacks.setdefault(threading.get_ident(), [])

    # Memory

    @property
    def used_bytes(self) -> int:
        return sum(block.size for block in self.blocks.values())

    def allocate(self, nbytes: int) -> int | None:
        """The address of new memory, None if there is not enough."""
        with self._lock:
            if nbytes > self.total_bytes - self.used_bytes:
                return None
            address = self._next_address
            self._next_address += (nbytes + 511) // 256 * 256  # a gap follows each block
            self.blocks[address] = np.full(nbytes, GARBAGE, np.uint8)
            self.made["device"] += 1
            return address

    def free(self, address: int) -> None:
        with self._lock:
            del self.blocks[address]

    def view(self, address: int, nbytes: int) -> np.ndarray:
        """The bytes at an address, which lie within one block; IllegalAccessError if they do not."""
        for start, block in self.blocks.items():
            if start <= address and address + nbytes <= start + block.size:
                return block[address - start : address - start + nbytes]
        raise IllegalAccessError(f"{nbytes} bytes at {address:#x} are not within one allocation")

    def require_pinned(self, array: np.ndarray) -> None:
        """AssertionError unless `array` lies in pinned memory that was not freed."""
        address = array.__array_interface__["data"][0]
        within = any(
            start <= address and address + array.nbytes <= start + size for start, (size, _) in self.pinned.items()
        )
        if not within:
            raise IllegalAccessError("an asynchronous copy needs pinned memory that is still held")

    # Streams

    def new_stream(self) -> StreamState:
        with self._lock:
            self._next_handle += 1
            state = self.streams[self._next_handle] = StreamState(self._next_handle)
            return state

    def end_stream(self, stream: StreamState) -> None:
        with self._lock:
            del self.streams[stream.handle]
            self.made["stream ended with work left"] += bool(stream.queue)

    def put(self, stream: StreamState, work: Work) -> None:
        (stream.queue if stream.captured is None else stream.captured).append(work)

    def drain(self, stream: StreamState, until: Callable[[], bool] = lambda: False) -> None:
        """Run a stream to its end, or `until`, and of other streams no more than it waits for."""
        with self._lock:
            while stream.queue and not until():
                waiting = stream.queue[0].wait
                if waiting is not None and waiting[0].reached < waiting[1]:
                    event, number = waiting
                    self.drain(event.streams[number], lambda event=event, number=number: event.reached >= number)
                self._step(stream)

    def advance_at_random(self) -> None:
        if self._random is None:
            return
        with self._lock:
            for _ in range(self._random.choice((0, 0, 1, 3, 8))):
                ready = [stream for stream in self.streams.values() if self._ready(stream)]
                if not ready:
                    return
                self._step(self._random.choice(ready))

    @staticmethod
    def _ready(stream: StreamState) -> bool:
        if not stream.queue:
            return False
        waiting = stream.queue[0].wait
        return waiting is None or waiting[0].reached >= waiting[1]

    @staticmethod
    def _step(stream: StreamState) -> None:
        work = stream.queue.popleft()
        if work.run is not None:
            work.run()
        if work.record is not None:
            event, number = work.record
            event.reached = max(event.reached, number)
            event.reached_s = time.perf_counter()

    @property
    def holds_anything(self) -> bool:
        return bool(self.blocks or self.pinned or self.streams)

    def require_nothing_held(self) -> None:
        """AssertionError if memory, streams or a pushed context are left."""
        assert self.blocks == {}, f"{len(self.blocks)} device allocations are left"
        assert self.pinned == {}, f"{len(self.pinned)} pinned allocations are left"
        assert self.streams == {}, f"{len(self.streams)} streams are left"
        assert self.made["stream ended with work left"] == 0, "memory was freed under work that had not run"
        assert not any(self.stacks.values()), "contexts are left pushed"
