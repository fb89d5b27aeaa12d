"""Define and check the options of `choose`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import DataError, FcnDeployError, OutputError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.model_file import file_of, kind_of
from fcn_deploy.system.files import check_name, check_writable, resolved

PRECISIONS = ("fp32", "fp16", "int8")
WORK_SUFFIX = ".choose"


@dataclass(frozen=True)
class ChoiceOptions:
    """Hold the arguments of `choose`, where they are explained, with their types settled."""

    model: str
    output: Path
    data: DataOptions
    budget: AccuracyBudget
    max_ms: float | None = None
    calibration: DataOptions | None = None
    runners: tuple[str, ...] | None = None
    precisions: tuple[str, ...] = PRECISIONS
    sizes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    model_name: str | None = None
    threads: int | None = None
    radius: int = 3
    time_budget: float | None = None
    work: Path | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def folder(self) -> Path:
        """Where the log, the calibration cache and the files that are tried lie."""
        return self.work or self.output.with_name(self.output.name + WORK_SUFFIX)


def check_options(options: ChoiceOptions) -> None:
    """Reject options that cannot be met before anything is opened.

    Raises:
        FcnDeployError: there is no limit on accuracy, or the path of calibration images is not UTF-8.
        DataError: the images are generated, or INT8 has no calibration images.
        OutputError: the file or the folder cannot be written.
    """
    if not options.budget:
        raise FcnDeployError(
            "nothing says how much accuracy may be lost; give a limit (--max-miou-drop 0.3, --max-boundary-drop, "
            "--max-class-drop)"
        )
    if options.data.source is None:
        raise DataError("choose scores candidates on labelled images of yours; name them (--data)")
    if options.calibration is None and any("int8" in precision for precision in options.precisions):
        raise DataError(
            "INT8 needs images to calibrate with, other ones than those of --data; name them with --calib, or leave "
            "INT8 out (--precisions fp32,fp16)"
        )
    if kind_of(options.model) == "engine":
        raise FcnDeployError(f"{options.model} is an engine, which is in one precision; give the .onnx file")
    if resolved(options.output) == resolved(file_of(options.model)):
        raise OutputError(f"{options.output} is the model itself, which would be lost; give another file (-o)")
    for value in vars(options.calibration or DataOptions()).values():
        if isinstance(value, (str, Path)):
            check_name(value)  # the recipe names it
    check_writable(options.output)
    if options.folder.is_file():
        raise OutputError(f"{options.folder} is a file; name a folder for the log (--work)")
    check_writable(options.folder / "log.jsonl")
