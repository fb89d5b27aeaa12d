"""A benchmark's record: raw samples and circumstances. Tables are made from it and never the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fcn_deploy.benchmark.record.times import GpuState as GpuState
from fcn_deploy.benchmark.record.times import Latency as Latency
from fcn_deploy.benchmark.record.times import OnDevice as OnDevice
from fcn_deploy.benchmark.record.times import Saturated as Saturated
from fcn_deploy.benchmark.timing.memory import Memory
from fcn_deploy.vocabulary import Shape

# "built": the file was made and cannot run here.
Status = Literal["ok", "failed", "skipped", "built"]
Counts = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Accuracy:
    """int64[C, C] confusion matrices of all labelled pixels and of those near a label change; row = true class.

    Attributes:
        by_image: `overall` of each labelled image, in the data set's order; empty for more than 2000 images.
    """

    overall: Counts
    boundary: Counts
    images: int
    by_image: tuple[Counts, ...] = ()


@dataclass(frozen=True)
class Agreed:
    """Pixels whose label is the reference's, of how many."""

    agreed: int
    pixels: int


@dataclass(frozen=True)
class MarginAgreed:
    """The same where low <= reference margin < high, in logits; `high` is None for the last bin."""

    low: float
    high: float | None
    agreed: int
    pixels: int


@dataclass(frozen=True)
class Agreement:
    """Label agreement with the reference: all pixels, near its label changes, and by its logit margin."""

    overall: Agreed
    boundary: Agreed
    by_margin: tuple[MarginAgreed, ...]
    largest_margin: float | None


@dataclass(frozen=True)
class Frame:
    """Label agreement of one image with the reference, in pixels."""

    name: str
    agreed: int
    pixels: int


@dataclass(frozen=True)
class Cell:
    """One of `--sizes` with one of `--batch`: the data set's images, resized; every sample is of this shape.

    Attributes:
        shape: N, H, W.
        accuracy: at this size, against labels resized by nearest neighbour; the same for every batch.
    """

    shape: Shape
    latency: Latency
    saturated: Saturated | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class Built:
    """The file that was made for a row.

    Attributes:
        kind: what it is.
        seconds: of rewriting and building.
        shares: precision -> share of the multiply-adds, 0 to 1; of an engine as its builder's own list has them.
        where: library, architectures and profile of an engine.
        sha256: of the file, an engine's plan or the graph; "" in records that did not keep it.
    """

    kind: Literal["onnx", "engine"]
    size_bytes: int
    seconds: float
    shares: dict[str, float]
    where: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Row:
    """One runner. `reason` says why it is not ok; what is None was not measured, or not made.

    Attributes:
        frames: agreement of each image with the reference, in the data set's order.
        cells: one for each size and batch that was asked for and ran; `latency` is of the data set's own sizes.
    """

    runner: str
    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
    latency: Latency | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None
    agreement: Agreement | None = None
    built: Built | None = None
    saturated: Saturated | None = None
    frames: tuple[Frame, ...] = ()
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class BenchmarkedModel:
    """The file that was measured; `card` is its model card as plain data, None if it has none."""

    name: str
    sha256: str
    size_bytes: int
    card: dict[str, Any] | None


@dataclass(frozen=True)
class Data:
    """The images: how many, how many with labels, how many were left out, and [height, width, count] of each size."""

    name: str
    classes: tuple[str, ...]
    images: int
    labelled: int
    left_out: int
    sizes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Settings:
    """What the run was asked for.

    Attributes:
        warmup: inferences of each shape at least; more came until they were steady.
        tolerance: the timing stopped early once each median was known to plus or minus this share of itself; None
            where it did not look.
        sizes, batches: of the cells; () if there are none.
        isolated: whether each runner was timed in a process of its own.
    """

    iterations: int
    seconds: float
    warmup: int
    settle_ms: float
    batch: int
    threads: int
    radius: int
    tolerance: float | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    isolated: bool = False


@dataclass(frozen=True)
class Reference:
    """What labels are compared with; its own accuracy, None without ground truth."""

    runner: str
    accuracy: Accuracy | None


@dataclass(frozen=True)
class Record:
    """One run of the benchmark.

    Attributes:
        created: ISO 8601, UTC.
        shapes: N, H, W of each batch that was timed.
        rounds: index into `shapes` of each round; entry i of every row's latency belongs to round i.
        other_cores: cores that other processes kept busy while timing, on average; None if it was too short to say.
        reference: None if there was none; `reference_reason` says why.
        gpu_states: clocks, power and throttling while timing, where nvidia-ml-py sees a GPU.
    """

    created: str
    model: BenchmarkedModel
    data: Data
    settings: Settings
    environment: dict[str, Any]
    shapes: tuple[Shape, ...]
    rounds: tuple[int, ...]
    reference: Reference | None
    reference_reason: str
    rows: tuple[Row, ...]
    other_cores: float | None = None
    gpu_states: tuple[GpuState, ...] = ()
