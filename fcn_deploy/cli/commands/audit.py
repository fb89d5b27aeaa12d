"""`fcn-deploy audit`: what an ONNX file computes in which precision, and what TensorRT would reject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option
from fcn_deploy.cli.options.numbers import BATCH, COUNT
from fcn_deploy.cli.options.values import FILE, SIZE
from fcn_deploy.vocabulary import Size


@cli_command(
    examples=[
        "fcn-deploy audit model.onnx",
        "fcn-deploy audit model.int8.onnx --size 720x960 --top 10",
        "fcn-deploy audit model.onnx --parse rtx --json audit.json",
    ]
)
@cloup.argument("model", type=FILE, help='Any ONNX file; a checkpoint, a recipe (.toml) or "demo" is exported first.')
@group(
    "What to audit",
    option("--size", type=SIZE, metavar="HxW", show_default="the file's, else 360x480", help="Image size."),
    option("--batch", type=BATCH, show_default="the file's, else 1", help="Images per inference."),
    option(
        "--sm",
        metavar="LIST",
        help="GPUs that it is for, by compute capability: 86,89 or current. FP8 needs 89, BF16 80.",
    ),
    option("--parse", type=click.Choice(["rtx"]), help="Also run TensorRT for RTX's own ONNX parser (no GPU needed)."),
)
@group(
    "Result",
    option("--top", type=COUNT, metavar="K", help="Show the K largest nodes, and the rest as one."),
    json_option,
)
def command(
    model: Path, size: Size | None, batch: int | None, top: int | None, parse: str | None, sm: str | None
) -> None:
    """Show the precision of each layer, and what TensorRT would reject.

    For each Conv, ConvTranspose, Gemm and MatMul the table has the type it is computed in (INT8 if both operands are
    dequantised from INT8), its multiply-adds, its share of them, and why it is not narrower. The check for TensorRT
    needs no TensorRT. With --sm, types that a GPU lacks are among what would be rejected.

    Exit code: 0 if nothing would be rejected or give wrong masks, 1 otherwise.
    """
    from fcn_deploy.audit.audit import audit
    from fcn_deploy.audit.compute_capability import for_gpus
    from fcn_deploy.audit.text import render
    from fcn_deploy.engine.builder.options import named_gpus
    from fcn_deploy.sources.model_source import ModelSource

    height, width = (None, None) if size is None else size
    with ModelSource(model, progress()) as source:
        found = audit(source.onnx_file(), batch=batch, height=height, width=width)
        if parse is not None:
            from fcn_deploy.engine.builder.parse import parser_findings

            found = replace(found, findings=(*found.findings, *parser_findings(source.onnx_file(), parse)))
    found = replace(for_gpus(found, named_gpus(sm)), path=model)
    emit(found.to_plain, lambda: render(found, top))
    click.get_current_context().exit(1 if found.rejected else 0)
