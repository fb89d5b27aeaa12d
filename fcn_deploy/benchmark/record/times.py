"""The raw times of a record, and what the GPU did meanwhile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OnDevice:
    """Nanoseconds between events on the GPU's own streams; the host's clock counts launching and waiting too."""

    upload_ns: tuple[int, ...]
    execute_ns: tuple[int, ...]
    download_ns: tuple[int, ...]


@dataclass(frozen=True)
class Latency:
    """Nanoseconds of each round by the host's clock, around calls that wait for the device.

    Attributes:
        warmup_ns: whole inferences before the first round.
        device: the same rounds by events on the GPU; None where the runner has none.
    """

    upload_ns: tuple[int, ...]
    execute_ns: tuple[int, ...]
    download_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    device: OnDevice | None = None


@dataclass(frozen=True)
class Saturated:
    """Images that were done in how many seconds when the next one never had to wait to be asked for.

    Attributes:
        streamed: whether several were under way at once; otherwise one inference followed the other.
        windows: [images, seconds] of each stretch, runners in turn; `images` and `seconds` are their sums.
    """

    images: int
    seconds: float
    streamed: bool = False
    windows: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class GpuState:
    """What NVML said of one GPU at one moment; None where the GPU does not say.

    Attributes:
        seconds: since the timing began.
        throttled: why the clocks were below what they could be ("software power cap"); () if they were not.
    """

    gpu: int
    seconds: float
    sm_mhz: int | None
    memory_mhz: int | None
    power_w: float | None
    temperature_c: int | None
    used_bytes: int | None
    throttled: tuple[str, ...] = ()
