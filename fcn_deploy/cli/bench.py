"""`fcn-deploy bench`: the speed and the fidelity of a model's runners, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .console import progress
from .data_options import DATA_OPTIONS, MOST_THREADS, data_options, model_option, with_options
from .output import check_json_path, emit, json_option, print_table

if TYPE_CHECKING:
    from ..inputs.dataset import DataOptions

CALIBRATED = 100
GENERATED = "synthetic:32:1:192x256"


@click.command()
@click.argument("model", default="demo")
@with_options(DATA_OPTIONS)
@click.option(
    "--runners",
    metavar="LIST",
    help="pytorch[:DEVICE], onnxruntime[:DEVICE][:PRECISION], tensorrt[:PRECISION], by commas.  [default: by what is "
    "installed]",
)
@click.option("--calib", metavar="SOURCE", help="Images to calibrate INT8 with, at most 100 of them; as --data.")
@model_option
@click.option("--iterations", type=click.IntRange(min=1), default=500, show_default=True, help="Rounds at most.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    help="Stop timing after this long, but not before 3 rounds.",
)
@click.option(
    "--warmup", type=click.IntRange(min=0), default=3, show_default=True, help="Untimed runs of each image size."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images an inference.")
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="CPU threads of each runner.  [default: usable cores]"
)
@click.option("--radius", type=click.IntRange(min=0), default=3, show_default=True, help="Boundary band in pixels.")
@click.option("--no-memory", is_flag=True, help="Leave out peak memory, which opens each runner again.")
@json_option
def command(
    model: str,
    runners: str | None,
    calib: str | None,
    model_name: str | None,
    iterations: int,
    seconds: float,
    warmup: int,
    batch: int,
    threads: int | None,
    radius: int,
    no_memory: bool,
    json_path: str | None,
    **data: object,
) -> None:
    """Compare the speed and the accuracy of the runners of MODEL.

    MODEL is an .onnx file, a checkpoint, a recipe, or "demo", the bundled one, which is the default. Without --data
    the images are generated. Runners take turns on every image; labels are compared with PyTorch's, pixel by pixel.

    A PRECISION (fp16, int8, int8+fp16) rewrites the model for the row, "tensorrt" builds an engine of it: both are made
    for the occasion and measured like the rest; an engine that cannot run here is built, and its row says why.
    DEVICE is cpu, cuda, and for onnxruntime whatever provider it has.

    Exit code: 0 if every runner was measured or skipped for a stated reason, 1 if one failed or none could run.
    """
    from ..bench.forms import default_specs
    from ..bench.latency import Budget
    from ..bench.record_file import to_json
    from ..bench.run import BenchOptions, run_bench
    from ..report.table import render

    check_json_path(json_path)
    generated = data["data"] is None
    calibration = _calibration(calib, generated)
    options = BenchOptions(
        source=model,
        model=model_name,
        runners=default_specs(model, calibration is not None) if runners is None else _specs(runners),
        data=data_options(data),
        generated=generated,
        calibration=calibration,
        budget=Budget(iterations, seconds, warmup),
        batch=batch,
        threads=threads,
        radius=radius,
        memory=not no_memory,
    )
    record = run_bench(options, progress())
    emit(json_path, lambda: to_json(record), lambda: print_table(render(record)))
    statuses = [row.status for row in record.rows]
    click.get_current_context().exit(1 if "failed" in statuses or "ok" not in statuses else 0)


def _calibration(source: str | None, generated: bool) -> DataOptions | None:
    """Generated scenes are calibrated with others of the same size; a user's own images are not chosen for him."""
    from ..inputs.dataset import DataOptions

    if source is None:
        return DataOptions(GENERATED) if generated else None
    return DataOptions(source, split="train", limit=CALIBRATED)


def _specs(text: str) -> tuple[str, ...]:
    specs = tuple(spec.strip() for spec in text.split(",") if spec.strip())
    if not specs:
        raise click.UsageError("--runners names none; give pytorch, onnxruntime or both")
    return specs
