"""`fcn-deploy package`: a model repository for a server."""

from __future__ import annotations

from pathlib import Path

import click

from fcn_deploy.cli.console import progress
from fcn_deploy.cli.options.values import size_value
from fcn_deploy.vocabulary import Size


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--triton",
    "repository",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Model repository of Triton Inference Server to write into.",
)
@click.option("--name", help="Name of the model.  [default: the file's]")
@click.option("--version", type=click.IntRange(min=1), default=1, show_default=True, help="Version of this file.")
@click.option(
    "--max-batch",
    type=click.IntRange(min=1),
    help="Images that Triton may put together.  [default: an engine's largest N, else 8]",
)
@click.option("--instances", type=click.IntRange(min=1), default=1, show_default=True, help="Copies on each device.")
@click.option("--cpu", is_flag=True, help="Run an ONNX file on the CPU.")
@click.option(
    "--queue-delay-us",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Microseconds that a request may wait for others of its size.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=size_value,
    metavar="HxW",
    help="Size to warm up with; repeatable.  [default: the usual one]",
)
@click.option("--force", is_flag=True, help="Replace a model of that name.")
def command(
    model: Path,
    repository: Path,
    name: str | None,
    version: int,
    max_batch: int | None,
    instances: int,
    cpu: bool,
    queue_delay_us: int,
    sizes: tuple[Size, ...],
    force: bool,
) -> None:
    """Write MODEL, an .onnx file or an engine of TensorRT, into a repository that Triton Inference Server serves.

    The configuration has the uint8 contract, dynamic batching, one instance group, a warm-up for each size and the
    class names. Serve it with `tritonserver --model-repository=DIR` of the release whose TensorRT built the engine.
    """
    from fcn_deploy.packaging.triton import TritonOptions, package

    options = TritonOptions(
        name=name,
        version=version,
        max_batch=max_batch,
        instances=instances,
        gpu=not cpu,
        queue_delay_us=queue_delay_us,
        warmup=sizes,
        force=force,
    )
    folder = package(model, repository, options, progress())
    files = sorted(str(path.relative_to(repository)) for path in folder.rglob("*") if path.is_file())
    click.echo(f"wrote {', '.join(files)} into {repository}")
