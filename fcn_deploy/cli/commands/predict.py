"""`fcn-deploy predict`: label maps of any number of images."""

from __future__ import annotations

import sys
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option, refuse_without
from fcn_deploy.cli.options.data import RUNNER, model_option, runner_of, threads_option
from fcn_deploy.cli.options.engine import ENGINE_OPTIONS, engine_options
from fcn_deploy.cli.options.numbers import BATCH, COPIES, PIXELS, SIDE, Number, WholeNumber
from fcn_deploy.cli.options.values import File
from fcn_deploy.system.arguments import MOST_LANES, MOST_WORKERS
from fcn_deploy.vocabulary import MASK_FORMATS

UNUSED_IMAGES = 3


@cli_command(
    examples=[
        "fcn-deploy predict best.safetensors photos -o out --overlay",
        "fcn-deploy predict model.onnx 'photos/**/*.jpg' -o out --areas areas.csv",
        "fcn-deploy predict model.onnx mosaic.tif -o out --tile 1024",
    ],
    hints={"--streams": "Did you mean --contexts? It is how many inferences of an engine run at once."},
)
@cloup.argument("model", help='An engine, an .onnx file, a checkpoint, a recipe (.toml), or "demo".')
@cloup.argument(
    "images",
    nargs=-1,
    required=True,
    help='Image files, folders (with their sub-folders), globs in quotes ("**" is any depth), list files as for '
    "--data, videos, - for paths on standard input (one per line), or object storage (s3://bucket/folder).",
)
@group(
    "What to run",
    runner_of(f"{RUNNER}; auto is the fastest on this CPU, timed on the first image."),
    model_option,
    option("--batch", type=BATCH, default=1, help="Images of one shape, or tiles, per inference."),
    option("--tile", type=SIDE, metavar="N", help="Cut images into windows of at most N x N pixels."),
    option(
        "--halo",
        type=PIXELS,
        metavar="N",
        show_default="as much as the network sees",
        help="Context in pixels around the labels of a tile.",
    ),
)
@group(
    "Speed",
    threads_option("the cores, divided by --lanes"),
    option(
        "--lanes",
        type=WholeNumber(1, MOST_LANES),
        show_default="2 on a CPU",
        help="Inferences at the same time; each needs its own memory.",
    ),
    option(
        "--workers",
        type=WholeNumber(1, MOST_WORKERS),
        show_default="cores + 2, at most 16",
        help="Processes (for few images: threads) that decode and write images.",
    ),
    option("--distributed", is_flag=True, help="Use several processes, on one machine or a cluster, by Ray Data."),
    option("--actors", type=COPIES, show_default="one per device", help="Processes that hold the model."),
    option(
        "--ray-address", metavar="HOST:PORT", show_default="the running one", help="Ray cluster; 'local' starts one."
    ),
)
@group("Engines (tensorrt)", ENGINE_OPTIONS)
@group(
    "Result",
    output_option(
        "output", "Folder of the results; a file for one image.", type=File(), metavar="DIR", required=True, was=()
    ),
    option(
        "--format",
        "format",
        type=click.Choice(MASK_FORMATS),
        default="indexed",
        help="PNG with the palette, grey PNG (value = label), or NumPy array.",
    ),
    option("--overlay", is_flag=True, help="Also write NAME.overlay.jpg, the image under the labels' colours."),
    option("--alpha", type=Number(0, 1), default=0.5, help="Opacity of the colours of --overlay."),
    option("--areas", type=File(), writes=True, help="Write the pixels of each class in each image as CSV."),
    option(
        "--confidence",
        writes=True,
        type=File(),
        metavar="CONFIDENCE_DIR",
        help="Also write 255 times each label's probability there, as grey PNG, and the mean to --areas.",
    ),
    option("--skip-existing", is_flag=True, help="Skip images that have results already: continue a stopped run."),
    option("--keep-suffix", is_flag=True, help="Name the result of a.jpg a.jpg.png instead of a.png."),
    json_option,
)
def command(
    model: str,
    images: tuple[str, ...],
    output: str,
    overlay: bool,
    alpha: float,
    distributed: bool,
    actors: int | None,
    ray_address: str | None,
    **given: Any,
) -> None:
    """Write the label maps of images, folders and videos.

    Results are named after their sources: photos/a/1.jpg of the folder photos becomes DIR/a/1.png, frame 41 of
    clip.mp4 becomes DIR/clip.mp4/000041.png. DIR may be object storage too.

    Images are turned upright as their EXIF orientation says, and the label map has the size of the upright image.
    Images with more than 178,956,970 pixels need --tile.

    With --tile, memory is bounded by the window and the decoded image (of an uncompressed TIFF or PPM only windows are
    read), images may have 2,147,483,648 pixels, and the labels are those of the whole image: windows overlap by what
    the network sees around a label. --halo N overlaps them less, which is faster; the labels that this changes are
    counted on some tiles.

    With --distributed, Ray Data gives the images to processes on this machine or a cluster and repeats the images of a
    lost process; the results are those of one process. MODEL, IMAGES and DIR need the same path on each machine.

    Unreadable images are skipped and listed at the end; the exit code is then 3.
    """
    from fcn_deploy.prediction.cluster.resources import Cluster
    from fcn_deploy.prediction.predict import predict
    from fcn_deploy.prediction.text import render

    refuse_without("tile", "halo")
    refuse_without("overlay", "alpha")
    refuse_without("distributed", "actors", "ray_address")
    report = predict(
        model,
        images,
        output,
        cluster=Cluster(ray_address, actors) if distributed else None,
        overlay=alpha if overlay else None,
        stdin=sys.stdin.buffer,
        engine=engine_options(given),
        progress=progress(),
        **given,
    )
    emit(report.to_plain, lambda: render(report))
    if report.failures:
        click.get_current_context().exit(UNUSED_IMAGES)
