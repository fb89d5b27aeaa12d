"""Types of a benchmark's record: raw samples and circumstances, from which every table is made."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

from fcn_deploy.benchmark.record.measurement import Accuracy, Measurement, StreamTest
from fcn_deploy.system.serialization.decode import at_least
from fcn_deploy.vocabulary import Shape

# "built": the file was made and cannot run here.
Status = Literal["ok", "failed", "skipped", "built"]

PAGE = "fcn_deploy.benchmark.report.html"  # by name: it renders records, so that it imports this module


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
class OpenedFile:
    """The file that a row ran: its name, the command that makes it again ("": it was there), where it was kept."""

    name: str
    command: str = ""
    kept: str = ""


def named(file: str, runner: str) -> str:
    """Return "fcn8s onnxruntime", or the runner alone where the file has no label."""
    return f"{file} {runner}" if file else runner


@dataclass(frozen=True)
class Row:
    """One runner. `reason` says why it is not ok.

    Attributes:
        file: the `label` of the model that it ran, where the record has several; "" for the only one.
        built: the file that was made for the row; None if it opened one that was there.
        measurements: on the data set's own sizes first, then on resized images; what did not run is missing.
        opened: None in records that do not say it, and if the file could not be made.
    """

    runner: str
    status: Status
    reason: str = ""
    notes: tuple[str, ...] = ()
    built: Built | None = None
    measurements: tuple[Measurement, ...] = ()
    file: str = ""
    opened: OpenedFile | None = None

    @property
    def name(self) -> str:
        """The runner, after the file's label where there are several files."""
        return named(self.file, self.runner)

    @property
    def own(self) -> Measurement:
        """The measurement on the data set's own sizes; an empty one if nothing was measured."""
        return self.at(None) or Measurement()

    @property
    def resized(self) -> tuple[Measurement, ...]:
        """The measurements on resized images."""
        return tuple(found for found in self.measurements if found.shape is not None)

    def at(self, shape: Shape | None) -> Measurement | None:
        """Return the measurement on images of `shape`."""
        return next((found for found in self.measurements if found.shape == shape), None)


@dataclass(frozen=True)
class BenchmarkedModel:
    """A file that was measured; `card` is its model card as plain data, None if it has none.

    Attributes:
        label: what its rows are called by where the record has several files: as much of the
            file's name as distinguishes them; "" for the only one.
    """

    name: str
    sha256: str
    size_bytes: int
    card: dict[str, Any] | None
    label: str = ""


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
        sizes, batches: that the images were resized to and timed in; () if they were not.
        isolated: whether each runner was timed in a process of its own.
        streams: what was asked for by `--streams`; None where nothing was.
    """

    iterations: int
    seconds: float
    warmup: int
    settle_ms: float
    batch: Annotated[int, at_least(1)]
    threads: Annotated[int, at_least(1)]
    radius: int
    tolerance: float | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    isolated: bool = False
    streams: StreamTest | None = None


@dataclass(frozen=True)
class Reference:
    """What labels are compared with; its own accuracy, None without ground truth.

    Attributes:
        file: as in `Row`.
    """

    runner: str
    accuracy: Accuracy | None
    file: str = ""

    @property
    def name(self) -> str:
        """Its row's name."""
        return named(self.file, self.runner)


@dataclass(frozen=True)
class GpuState:
    """What NVML said of one GPU at one moment; None where the GPU does not say.

    Attributes:
        seconds: since the timing started.
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


@dataclass(frozen=True)
class Record:
    """One run of the benchmark.

    Attributes:
        created: ISO 8601, UTC.
        model: the first file, which the others are compared with.
        others: the further files.
        shapes: N, H, W of each batch of the data set's own sizes.
        rounds: index into `shapes` of each round; entry i of every row's own latency belongs to round i.
        other_cores: cores that other processes kept busy while timing, on average; None if it was too short to say.
        reference: None if there was none; `reference_reason` says why, or where a reference without a row is from.
        gpu_states: clocks, power and throttling while timing, where nvidia-ml-py sees a GPU.
        command: the command line as it was typed; "" from Python, and in records that did not keep it.
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
    others: tuple[BenchmarkedModel, ...] = ()
    command: str = ""

    def __repr__(self) -> str:
        return f"<Record {self.model.name}, {len(self.rows)} rows, {self.created}>"

    def _repr_html_(self) -> str:
        """Show the record in a notebook as its page."""
        return str(import_module(PAGE).render_iframe(self))

    @property
    def models(self) -> tuple[BenchmarkedModel, ...]:
        """All files, in the order of their rows."""
        return self.model, *self.others

    @property
    def failed(self) -> bool:
        """Whether a row failed, or none was measured."""
        statuses = [row.status for row in self.rows]
        return "failed" in statuses or "ok" not in statuses

    def reference_row(self, shape: Shape | None = None) -> Row | None:
        """Return the reference's row, if it was timed on images of `shape`."""
        name = None if self.reference is None else self.reference.name
        timed = (row for row in self.rows if (found := row.at(shape)) is not None and found.latency is not None)
        return next((row for row in timed if row.name == name), None)

    def reference_at(self, shape: Shape | None) -> Measurement | None:
        """Return what the reference's row measured on images of `shape`, if it was timed on them."""
        row = self.reference_row(shape)
        return None if row is None else row.at(shape)

    def reference_accuracy(self, shape: Shape | None) -> Accuracy | None:
        """Return the reference's accuracy on images of `shape`; on the data set's own sizes also if it has no row."""
        if shape is None:
            return None if self.reference is None else self.reference.accuracy
        found = self.reference_at(shape)
        return None if found is None else found.accuracy
