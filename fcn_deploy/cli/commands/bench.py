"""`fcn-deploy bench`: the speed and the fidelity of a model's runners, side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from fcn_deploy.cli.console import emit, notice, one_terminal, progress
from fcn_deploy.cli.options.bench import TIMING_OPTIONS, timing
from fcn_deploy.cli.options.command import cli_command, command_line, group, json_option, option, refuse_without
from fcn_deploy.cli.options.data import (
    data_options,
    image_options,
    labels_option,
    model_option,
    radius_option,
    source_option,
)
from fcn_deploy.cli.options.engine import ENGINE_OPTIONS, engine_options
from fcn_deploy.cli.options.gate import GATE_OPTIONS, Gate, from_option
from fcn_deploy.cli.options.report import REPORT_OPTIONS, Reports, keep_error
from fcn_deploy.cli.options.streams import STREAM_OPTIONS, stream_arguments
from fcn_deploy.cli.options.values import complete_runners, picked
from fcn_deploy.errors import FcnDeployError, RunnerError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fcn_deploy.benchmark.baseline.compare import Comparison
    from fcn_deploy.benchmark.gate.result import GateResult
    from fcn_deploy.benchmark.record.types import Record
    from fcn_deploy.benchmark.worst_frames import WorstFrames
    from fcn_deploy.data.options import DataOptions


@cli_command(
    examples=[
        "fcn-deploy bench model.onnx --data val.txt --calib train.txt --sizes 0.5 \\\n"
        "    --runners pytorch,onnxruntime:int8 --html report.html",
        "fcn-deploy bench model.onnx model.int8.onnx --data val.txt \\\n"
        "    --max-miou-drop 0.3 --max-class-drop pole=1",
        "fcn-deploy bench model.onnx --data val.txt --baseline main.json \\\n    --max-miou-drop 0.3",
    ],
    hints={
        "--precision": "The precision is part of --runners, as in --runners onnxruntime:int8,tensorrt:fp16.",
        "--runner": "Did you mean --runners? It takes one name or several with commas.",
        "--output": "Name the files by --html, --json, --markdown or --csv.",
    },
)
@cloup.argument(
    "models",
    nargs=-1,
    metavar="[MODEL]...",
    help='Engines, .onnx files, checkpoints, recipes (.toml), or "demo", the default. Several files need the same '
    "classes; the first is what the others are compared with.",
)
@group(
    "Data",
    image_options(),
    radius_option,
    source_option("--calib", "calib", "Images to calibrate INT8 with (at most 100 of them), in the forms of --data."),
    labels_option("--calib-labels", "calib_labels", "--calib"),
)
@group(
    "What to run",
    option(
        "--runners",
        metavar="LIST",
        shell_complete=complete_runners,
        show_default="by what is installed",
        help="Comma-separated list of pytorch[:DEVICE][:fp16|bf16][:compile], onnxruntime[:DEVICE][:PRECISION], "
        "openvino[:PRECISION][:DEVICE][:fp32|bf16], tensorrt[:PRECISION][:GPU].",
    ),
    option("--reference", metavar="FILE", help="What the others are compared with, in place of the first."),
    model_option,
    from_option,
)
@group("Timing", TIMING_OPTIONS)
@group("Streams", STREAM_OPTIONS)
@group("Engines (tensorrt)", ENGINE_OPTIONS)
@group("Gate", GATE_OPTIONS)
@group(
    "Report",
    option("--keep", metavar="DIR", help="Keep the files that are made for the rows in this folder."),
    option("--force", is_flag=True, help="With --keep: replace files of the same names."),
    option(
        "--details",
        is_flag=True,
        help="Print every table and what each row is limited by; agreement by region, class, margin and frame.",
    ),
    REPORT_OPTIONS,
    json_option,
)
def command(models: tuple[str, ...], runners: str | None, details: bool, **given: Any) -> None:
    """Compare the speed and the accuracy of a model's runners, or of several files.

    Without --data the images are generated. The runners take turns on every image; their labels are compared with
    PyTorch's, pixel by pixel.

    With --sizes each runner has a row at each network size too: labels of the images' size, scored on the same ground
    truth. With --image-sizes the images are resized by Pillow (bilinear; labels by nearest neighbour).

    Of several files each has the rows that can take it: without --runners as it is, in every runner that is installed
    (engines: in tensorrt).

    With a PRECISION (fp16, int8, int8+fp16) the model is rewritten for this run; "tensorrt" builds an engine. Their
    time and size are measured too. An engine that cannot run here is built, and its row has the reason. DEVICE is cpu,
    cuda, or for onnxruntime any provider that it has.

    Limits compare each row with the reference of this run, and one row within them is enough; with --baseline each row
    is compared with its own in that record, and none may be worse. A limit is broken by a loss beyond it that chance
    does not explain, and passed where twice the limit is excluded (95 % intervals). The last line on standard error is
    PASS or FAIL.

    Exit code: 0 if every runner was measured or skipped for a stated reason, 1 if one failed or none could run (why is
    the last line on standard error), 3 if no row is within the limits or, with --baseline, one is worse than they
    allow, 4 with --strict if a limit could not be judged.
    """
    from fcn_deploy.benchmark.bench import bench
    from fcn_deploy.benchmark.record.file import read_record

    if runners is not None and not runners.strip(", "):
        raise click.UsageError("--runners names no runner; give pytorch, onnxruntime or both")
    refuse_without("keep", "force", words="needs --keep, the folder whose files it replaces")
    gate, reports = Gate.of(given), Reports.of(given)
    baseline = gate.read_baseline()
    record = None if gate.from_path is None else read_record(Path(gate.from_path))
    kept = reports.frames() if record is None else None
    if record is None:
        record = bench(
            models or "demo",
            data_options(given),
            runners=runners,
            worst_frames=kept,
            calibration=_calibration(given["calib"], given["calib_labels"]),
            engine=engine_options(given),
            progress=progress(),
            limits=gate.budget,
            **picked(given, "model_name", "radius", "reference", "keep", "force"),
            **timing(given),
            **stream_arguments(given),
        )
        record = replace(record, command=command_line())
        for path in dict.fromkeys(row.opened.kept for row in record.rows if row.opened and row.opened.kept):
            notice(f"wrote {path}")
    _leave(record, gate, baseline, details, reports, kept)


def _calibration(source: str | None, labels: str | None) -> str | DataOptions | None:
    """Return the images of --calib, with the folder of their labels; UsageError for such a folder alone."""
    refuse_without("calib", "calib_labels", words="needs --calib, the images that they belong to")
    if source is None or labels is None:
        return source
    from fcn_deploy.quantization.calibration.images import calibration_options

    return replace(calibration_options(source), labels=labels)


def _leave(
    record: Record, gate: Gate, baseline: Record | None, details: bool, reports: Reports, kept: WorstFrames | None
) -> None:
    """Print and write the record, its comparison with a baseline and its gate; ends with the exit code."""
    from fcn_deploy.benchmark.plain import to_plain
    from fcn_deploy.benchmark.report.answer import answer_lines
    from fcn_deploy.benchmark.report.compare import render as render_comparison
    from fcn_deploy.benchmark.report.text import render
    from fcn_deploy.benchmark.verdicts.answer import answer

    def rendered() -> list[RenderableType]:
        if reports.printed:
            return []
        if one_terminal():
            shown.update(f"{line.label}: {line.text}" for line in answer_lines(answer(record, budget)))
        return [render(record, details, budget), *([] if comparison is None else [render_comparison(comparison)])]

    budget = gate.reference_budget
    shown = set[str]()
    comparison: Comparison | None = None
    judged: GateResult | None = None
    errors = list[FcnDeployError]()
    # A measurement must not be lost because the baseline is of other data or one file cannot be written.
    with keep_error(errors):
        comparison = gate.compare(baseline, record)
    with keep_error(errors):
        judged = gate.judge(record, comparison)
    with keep_error(errors):
        emit(lambda: to_plain(record, comparison, judged, budget), rendered)
    with keep_error(errors):
        reports.write(record, kept, comparison, judged, budget)
    with keep_error(errors):
        gate.write(record, judged)
    gate.say(judged, shown)
    if errors:
        raise errors[0]
    if judged is None and record.failed:
        raise RunnerError(_failure(record))
    click.get_current_context().exit(0 if judged is None else judged.exit_code)


def _failure(record: Record) -> str:
    """Return the first row that failed, else the first that could not run, with its reason."""
    row = min(record.rows, key=lambda row: row.status != "failed")
    return f"{row.name}: {row.reason}"
