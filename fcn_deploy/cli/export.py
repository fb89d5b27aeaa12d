"""`fcn-deploy export`: a checkpoint, a recipe or the demo as a proven ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fcn_deploy.cli.console import progress
from fcn_deploy.cli.options.values import parse_classes
from fcn_deploy.cli.output import check_json_path, emit, json_option
from fcn_deploy.vocabulary import INPUT_KINDS


@click.command()
@click.argument("source")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="ONNX file to write.  [default: SOURCE's name.onnx]")
@click.option("--model", help="What the checkpoint holds (fcn8s, fcn8s-caffe, ...); guessed from its keys if left out.")
@click.option("--classes", help="Class names: a file with one a line, or a comma-separated list.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="The file that a recipe speaks of.")
@click.option(
    "--input",
    "input_kind",
    type=click.Choice(INPUT_KINDS),
    default="uint8",
    show_default=True,
    help="image uint8[N, H, W, 3] RGB, or float32[N, 3, H, W] already normalised.",
)
@click.option(
    "--output",
    "outputs",
    default="labels",
    show_default=True,
    metavar="NAMES",
    help="labels, logits, or labels,logits.",
)
@click.option("--tolerance", type=click.FloatRange(min=0), help="Largest relative logit difference.  [default: 1e-4]")
@json_option
def command(
    source: str,
    out: Path | None,
    model: str | None,
    classes: str | None,
    checkpoint: Path | None,
    input_kind: str,
    outputs: str,
    tolerance: float | None,
    json_path: str | None,
) -> None:
    """Write SOURCE as ONNX (opset 17, dynamic N, H and W) and prove it equal to PyTorch.

    SOURCE is a checkpoint (.pth, .pt, .safetensors), an exported .onnx, a recipe (.toml), or "demo".

    The proof runs ONNX Runtime and PyTorch on the same images of nine shapes; the file gets its name only if every
    shape passes. Weights above 2 GB go into a second file, NAME.onnx.data.
    """
    from fcn_deploy.onnx_export.export import export
    from fcn_deploy.onnx_export.plain import to_plain
    from fcn_deploy.onnx_export.proof import TOLERANCE
    from fcn_deploy.onnx_export.text import render

    check_json_path(json_path)
    if checkpoint is not None and not source.lower().endswith(".toml"):
        raise click.UsageError("--checkpoint goes with a recipe (.toml); give the checkpoint itself as SOURCE")
    report = export(
        source,
        out,
        model_name=model,
        classes=parse_classes(classes),
        checkpoint=checkpoint,
        input_kind=input_kind,  # type: ignore[arg-type]
        outputs=[name.strip() for name in outputs.split(",")],
        tolerance=TOLERANCE if tolerance is None else tolerance,
        progress=progress(),
    )
    emit(json_path, lambda: json.dumps(to_plain(report)), lambda: click.echo(render(report)))
