"""`fcn-deploy predict`: label maps of any number of images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from fcn_deploy.cli.console import progress
from fcn_deploy.cli.options.data import MOST_THREADS, model_option
from fcn_deploy.cli.output import check_json_path, emit, json_option
from fcn_deploy.vocabulary import MASK_FORMATS

UNUSED_IMAGES = 3


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder of the results; a file for one image.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(MASK_FORMATS),
    default="indexed",
    show_default=True,
    help="PNG with the palette, grey PNG (value = label), or NumPy array.",
)
@click.option("--overlay", is_flag=True, help="Also write NAME.overlay.jpg, the image under the labels' colours.")
@click.option("--alpha", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Share of the colours.")
@click.option("--areas", metavar="FILE", help="Write the pixels of each class in each image as CSV.")
@click.option("--skip-existing", is_flag=True, help="Leave out images whose results are there: resume a killed run.")
@click.option("--keep-suffix", is_flag=True, help="a.jpg becomes a.jpg.png and not a.png.")
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Images of one shape in an inference."
)
@click.option(
    "--runner", metavar="NAME", help="pytorch[:cpu|cuda], onnxruntime[:cpu|cuda|...] or tensorrt.  [default: by MODEL]"
)
@model_option
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    help="CPU threads of an inference.  [default: the cores, shared out]",
)
@click.option(
    "--lanes",
    type=click.IntRange(1, 64),
    help="Inferences at a time, each with memory of its own.  [default: 2 on a CPU]",
)
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Threads that decode and write.  [default: cores + 2, 16 at most]"
)
@click.option("--tile", type=click.IntRange(1), metavar="N", help="Cut images into windows of N x N pixels at most.")
@click.option("--halo", type=click.IntRange(0), metavar="N", help="Context around a tile's labels.  [default: exact]")
@click.option("--distributed", is_flag=True, help="Run in several processes, on one machine or a cluster, by Ray Data.")
@click.option("--actors", type=click.IntRange(1), help="Processes that hold the model.  [default: one a device]")
@click.option("--ray-address", metavar="HOST:PORT", help="The cluster; 'local' starts one.  [default: the one at hand]")
@json_option
def command(
    model: str,
    images: tuple[str, ...],
    output: str,
    overlay: bool,
    alpha: float,
    areas: str | None,
    json_path: str | None,
    **given: Any,
) -> None:
    """Write the label maps of IMAGES by MODEL.

    MODEL is an engine (run by TensorRT), an .onnx file (by ONNX Runtime), a checkpoint or a recipe (by PyTorch), or
    "demo". IMAGES are image files, folders (with their sub-folders), globs in quotes ("**" is any depth), list files
    as for --data, videos, - for paths on standard input, one a line, or object storage (s3://bucket/folder, also for
    -o). Results are named after their sources: photos/a/1.jpg of folder photos becomes DIR/a/1.png, frame 41 of
    clip.mp4 DIR/clip.mp4/000041.png.

    Images are turned upright as their EXIF orientation says, and the label map has the size of the upright image.
    One with more than 178,956,970 pixels is refused.

    With --tile memory is bounded by the window and the decoded image (of an uncompressed TIFF or PPM only windows are
    read), images may have 2,147,483,648 pixels, and the labels are those of the whole image: windows overlap by what
    the network sees around a label. --halo N overlaps them less, which is faster; the labels that this changes are
    counted on some tiles. --batch is then tiles, not images.

    With --distributed, Ray Data gives the images to processes on this machine or a cluster and repeats what a lost one
    had; the results are those of one process. Model, images and DIR must have the same path on each machine.

    An image that cannot be used stops nothing; it is told at the end, and the exit code is 3.
    """
    from fcn_deploy.prediction.cluster.resources import Cluster
    from fcn_deploy.prediction.images.storage import Storage, is_address
    from fcn_deploy.prediction.options import PredictOptions
    from fcn_deploy.prediction.predict import predict
    from fcn_deploy.prediction.report import to_plain
    from fcn_deploy.prediction.text import render
    from fcn_deploy.prediction.tiled import Tiling

    check_json_path(json_path)
    tile, halo = given["tile"], given["halo"]
    if tile is None and halo is not None:
        raise click.UsageError("--halo is for --tile")
    if not given["distributed"] and (given["actors"], given["ray_address"]) != (None, None):
        raise click.UsageError("--actors and --ray-address are for --distributed")
    options = PredictOptions(
        model,
        images,
        Storage.of(output) if is_address(output) else Path(output),
        format=given["file_format"],
        overlay=alpha if overlay else None,
        areas=None if areas is None else Path(areas),
        skip_existing=given["skip_existing"],
        keep_suffix=given["keep_suffix"],
        batch=given["batch"],
        runner=given["runner"],
        threads=given["threads"],
        lanes=given["lanes"],
        checkpoint_model=given["model_name"],
        workers=given["workers"],
        tiling=None if tile is None else Tiling(tile, halo),
    )
    cluster = Cluster(given["ray_address"], given["actors"]) if given["distributed"] else None
    report = predict(options, cluster=cluster, stdin=sys.stdin.buffer, progress=progress())
    emit(json_path, lambda: json.dumps(to_plain(report)), lambda: click.echo(render(report)))
    if report.failures:
        click.get_current_context().exit(UNUSED_IMAGES)
