"""`fcn-deploy diagnose`: which stage of a deployment first differs from the one before it, and in which layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.budget import WORSE, budget_options
from fcn_deploy.cli.options.command import Command, cli_command, group, json_option, option, typed
from fcn_deploy.cli.options.data import RUN_OPTIONS, data_options, image_options
from fcn_deploy.cli.options.numbers import COUNT, Form
from fcn_deploy.cli.options.values import picked

IMAGES = 32
LARGEST_TOLERANCE = 1000
Change = tuple[str, str, float]  # precision, limit, value
LIMITS = (
    ("max_miou_drop", "--max-miou-drop"),
    ("max_boundary_drop", "--max-boundary-drop"),
    ("max_class_drop", "--max-class-drop"),
)


class DiagnoseCommand(Command):
    """Take --images for --data; a whole number after it is that of --max-images, as in earlier releases."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = [*_images_as_data(args)]
        if given != args and sum(word.partition("=")[0] == "--data" for word in given) > 1:
            raise click.UsageError("--images is another name of --data here; give one of them", ctx)
        return super().parse_args(ctx, given)


def _images_as_data(args: Sequence[str]) -> Iterator[str]:
    for word, following in zip(args, (*args[1:], ""), strict=False):
        name, equals, value = word.partition("=")
        value = value if equals else following
        is_data = name == "--images" and (not value.isdecimal() or Path(value).exists())
        yield f"--data{equals}{value if equals else ''}" if is_data else word


def _parsed(text: str) -> Change:
    """ "int8.labels=2" -> ("int8", "labels", 0.02): labels and layer are given in per cent."""
    name, _, value = text.partition("=")
    precision, _, limit = name.partition(".")
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not limit or not 0 <= number <= LARGEST_TOLERANCE:
        raise click.BadParameter(
            f"'{text}' is not of the form TYPE.LIMIT=VALUE with a value from 0 to {LARGEST_TOLERANCE}, such as "
            "int8.labels=2"
        )
    return precision.strip(), limit.strip(), number if limit == "miou" else number / 100


@cli_command(
    cls=DiagnoseCommand,
    examples=[
        "fcn-deploy diagnose best.safetensors model.onnx model.int8.onnx --data val.txt",
        "fcn-deploy diagnose model.onnx model.fp16.onnx model.engine --data photos",
        "fcn-deploy diagnose model.onnx --labels-from masks --data photos",
    ],
)
@cloup.argument(
    "stages",
    nargs=-1,
    required=True,
    help="Files in the order in which they were made: a checkpoint, then .onnx files, then an engine.",
)
@group("Data", image_options(limit=IMAGES, was=("--limit", "--images")))
@group(
    "What to compare",
    option("--layer-images", type=COUNT, default=4, help="Number of these images that are run layer by layer."),
    option(
        "--tolerance",
        "tolerances",
        multiple=True,
        type=Form(_parsed, f"0<=VALUE<={LARGEST_TOLERANCE}"),
        metavar="TYPE.LIMIT=VALUE",
        help="Change a tolerance: int8.labels=2 (% of the labels), fp16.miou=0.1 (points), fp32.layer=0.1 "
        "(% error); repeatable.",
    ),
    RUN_OPTIONS,
)
@group("Limits", budget_options("of a stage against the first"))
@group(
    "Labels of another program",
    option(
        "--labels-from",
        metavar="DIR",
        help="Folder of label maps that another program made of the images of --data; what it did otherwise is named.",
    ),
)
@group("Result", json_option)
def command(stages: tuple[str, ...], tolerances: tuple[Change, ...], labels_from: str | None, **given: Any) -> None:
    """Find the first stage that differs from the one before it, and the first layer that does.

    The first stage is the reference; if it is an FP32 .onnx file, PyTorch runs it as well. Labels are compared on the
    images of --data, or on generated ones. Then each layer of an .onnx stage is run on its own, on the inputs that the
    FP32 stage before it has there.

    With --labels-from the first file is run with one mistake after the other (BGR, no mean, another size, ...), and the
    one that explains the label maps best is named; other files are tried as what the program may have run.

    Without a limit, a step diverges if its labels, its mIoU or a layer are beyond the tolerances of its precision. With
    limits (--max-miou-drop, ...), these alone decide, on all images of --data, as in bench, choose and quantize; what
    is beyond a tolerance is mentioned.

    Exit code: 0 if no step diverges or breaks a limit, 3 if one does or the labels of --labels-from are not the
    reference's, 1 on an error. A stage that this machine cannot run is skipped with a notice.
    """
    if labels_from is not None:
        others = [("tolerances", "--tolerance"), *LIMITS]
        for name, flag in others:
            if typed(name):
                raise click.UsageError(f"{flag} is not for --labels-from; leave one of them out")
        if given["data"] is None:
            raise click.UsageError("--labels-from needs --data, the images that the label maps were made of")
        _name_slip(stages, labels_from, given)
        return
    from fcn_deploy.diagnosis.diagnose import diagnose
    from fcn_deploy.diagnosis.text import render
    from fcn_deploy.diagnosis.tolerances import with_changes

    limits = picked(given, *(name for name, _ in LIMITS))
    if any(value is not None for value in limits.values()):
        given = _judged_by_limits(given, tolerances)
    found = diagnose(
        stages,
        data_options(given),
        tolerances=with_changes(tolerances),
        **limits,
        **picked(given, "model_name", "layer_images", "radius", "threads"),
        progress=progress(),
    )
    emit(found.to_plain, lambda: render(found))
    if found.first_divergence is not None:
        click.get_current_context().exit(WORSE)


def _judged_by_limits(given: Mapping[str, Any], tolerances: Sequence[Change]) -> dict[str, Any]:
    """Return the options with all images, as the other commands judge on all; UsageError for a second limit on mIoU."""
    for precision, limit, _ in tolerances:
        if limit == "miou":
            flags = ", ".join(flag for name, flag in LIMITS if given[name] is not None)
            raise click.UsageError(f"--tolerance {precision}.miou has no effect next to {flags}; leave one of them out")
    return {**given, "limit": given["limit"] if typed("limit") else None}


def _name_slip(stages: Sequence[str], labels_from: str, given: Mapping[str, Any]) -> None:
    from fcn_deploy.diagnosis.slips.explain import explain_labels
    from fcn_deploy.diagnosis.slips.text import render_slips

    limit = given["limit"] if typed("limit") else None
    found = explain_labels(
        stages[0],
        labels_from,
        data_options({**given, "limit": limit}),
        others=stages[1:],
        **picked(given, "model_name", "threads"),
        progress=progress(),
    )
    emit(found.to_plain, lambda: render_slips(found))
    if found.verdict != "same":
        click.get_current_context().exit(WORSE)
