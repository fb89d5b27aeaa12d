"""The options of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field

from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.benchmark.timing.saturation import SECONDS
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.options import DataOptions


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        source: "demo", an .onnx file, an engine, a checkpoint or a recipe.
        model: what a checkpoint holds where its keys leave a choice.
        runners: specs as in `parse_spec`; the same one may be given twice (the difference is then noise).
        calibration: images to calibrate INT8 with; without them INT8 is rejected.
        batch: images per inference, when the data set's own sizes are timed.
        sizes, batches: each (height, width) with each batch is timed too, on resized images; without sizes, the data
            set's most common one; with neither sizes nor two batches, nothing is resized.
        isolated: whether each runner is timed in a process of its own.
        saturation_s: seconds for which saturated throughput is measured, for each row and shape; 0 leaves it out.
        threads: CPU threads of every runner; None for all usable cores.
        radius: half width of the boundary band in pixels.
        memory: whether to measure peak memory, in a fresh process for each runner.
        worst_frames: gets the frames on which rows and reference differ most, for a page that shows them.
    """

    source: str = "demo"
    model: str | None = None
    runners: tuple[str, ...] = ("pytorch", "onnxruntime")
    data: DataOptions = field(default_factory=DataOptions)
    calibration: DataOptions | None = None
    budget: Budget = field(default_factory=Budget)
    batch: int = 1
    threads: int | None = None
    radius: int = 3
    memory: bool = True
    sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = ()
    isolated: bool = False
    saturation_s: float = SECONDS
    worst_frames: WorstFrames | None = None
