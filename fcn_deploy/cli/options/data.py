"""The options that say which images, and which network, for every command that runs a model on a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.command import Decorator, option
from fcn_deploy.cli.options.numbers import COUNT, LABEL, RADIUS, ThreadCount
from fcn_deploy.cli.options.values import (
    TRIPLE,
    VALUES,
    complete_models,
    complete_runner,
    parse_class_list,
    parse_classes,
    picked,
)
from fcn_deploy.vocabulary import BAD_IMAGES

if TYPE_CHECKING:
    from fcn_deploy.data.options import DataOptions

SOURCES = "A list of 'image label' pairs, a Pascal VOC root, a folder of images, or synthetic[:COUNT[:SEED[:HxW]]]."

CLASSES = "Class names: a file with one name per line, or a comma-separated list."


def source_option(flag: str, dest: str, about: str = SOURCES, default: str | None = None) -> Decorator:
    """Return the option that names a set of images; `default` says in words what is taken without it."""
    return option(flag, dest, metavar="SOURCE", show_default=default, help=about)


def labels_option(flag: str, dest: str, of: str, was: Sequence[str] = ()) -> Decorator:
    """Return the option for the label folder of the set that `of` names."""
    return option(flag, dest, was=was, metavar="DIR", help=f"Folder of label maps, if {of} is a folder of images.")


def split_option(flag: str, dest: str, of: str, default: str, was: Sequence[str] = ()) -> Decorator:
    """Return the option for the list of the set that `of` names."""
    about = f"Part to read, if {of} is a root of Pascal VOC, Cityscapes or Roboflow."
    return option(flag, dest, was=was, default=default, metavar="NAME", help=about)


def count_option(flag: str, dest: str, of: str, default: int | None = None, was: Sequence[str] = ()) -> Decorator:
    """Return the option for the largest number of images of the set that `of` names; `default` None takes all."""
    about, shown = f"Largest number of images of {of}, spread over it.", True if default else "all"
    return option(flag, dest, was=was, type=COUNT, default=default, show_default=shown, help=about)


classes_option = option(
    "--classes",
    metavar="NAMES",
    type=parse_classes,
    help=CLASSES,
)
# How label maps are read, for every set of the command.
LABEL_OPTIONS = (
    option(
        "--classes",
        metavar="NAMES",
        type=parse_class_list,
        help=CLASSES,
    ),
    option(
        "--ignore-index",
        type=LABEL,
        show_default="255 and one past the last class",
        help="Label value of unlabelled pixels in the files.",
    ),
    option(
        "--label-values",
        metavar="N,N,...",
        type=VALUES,
        show_default="0,1,2,...",
        help="Value of each class in the label maps; 0,255 for black and white.",
    ),
    option(
        "--reduce-zero-label",
        is_flag=True,
        show_default=False,
        help="The label maps count the classes from 1, and 0 is unlabelled.",
    ),
    option(
        "--label-suffix",
        may_be_empty=True,
        metavar="TEXT",
        show_default="found by itself",
        help="What follows an image's name in the name of its label map, such as _mask.",
    ),
    option(
        "--map",
        "class_map",
        metavar="FILE",
        help='TOML file of "class of the data" = "class of the model", "" for unlabelled.',
    ),
)
LABEL_NAMES = ("classes", "ignore_index", "label_values", "reduce_zero_label", "label_suffix", "class_map")
bad_images_option = option(
    "--bad-images",
    type=click.Choice(BAD_IMAGES),
    default="stop",
    help="Stop at an image that cannot be read, or skip it.",
)
model_option = option(
    "--model",
    "model_name",
    metavar="NAME",
    shell_complete=complete_models,
    show_default="from the checkpoint's keys",
    help="Model that a checkpoint holds (fcn8s, fcn8s-caffe, ...).",
)
radius_option = option("--radius", type=RADIUS, default=3, help="Half width of the boundary band, in pixels.")
RUNNER = "pytorch[:cpu|cuda][:fp16|bf16][:compile], onnxruntime[:cpu|cuda|...], openvino or tensorrt[:GPU]"


def runner_of(about: str) -> Decorator:
    """Return --runner with its help."""
    return option(
        "--runner",
        metavar="NAME",
        shell_complete=complete_runner,
        show_default="tensorrt for an engine, onnxruntime for .onnx, else pytorch",
        help=about,
    )


runner_option = runner_of(f"{RUNNER}.")


def normalisation_option(name: str, about: str) -> Decorator:
    """Return --mean or --std."""
    return option(
        f"--{name}",
        metavar="X,X,X",
        type=TRIPLE,
        show_default="the model's own",
        help=f"{about}, in units of 0 to 255, in the order of --channel-order.",
    )


def threads_option(default: str) -> Decorator:
    """Return --threads; `default` says in words what is taken without it."""
    return option("--threads", type=ThreadCount(), show_default=default, help="CPU threads, at most 8 per core.")


# Of the commands that run a model on a data set and print what they counted.
RUN_OPTIONS = (model_option, radius_option, threads_option("the runner's own choice"))


def image_options(
    flag: str = "--data", *, split: str = "val", limit: int | None = None, was: Sequence[str] = ("--limit",)
) -> tuple[Decorator, ...]:
    """Return the options of one set of images, whose values `data_options` reads.

    The set of --data has --labels and --split; another set has its own name before them, as --calib-labels.

    Args:
        was: names of --max-images in earlier releases.
    """
    own, old = ("--", False) if flag == "--data" else (f"{flag}-", True)
    return (
        source_option(flag, "data", default="generated images" if flag == "--data" else None),
        labels_option(f"{own}labels", "labels", flag, was=("--labels",) if old else ()),
        split_option(f"{own}split", "split", flag, split, was=("--split",) if old else ()),
        count_option("--max-images", "limit", flag, limit, was=was),
        *LABEL_OPTIONS,
        bad_images_option,
    )


def data_options(given: Mapping[str, Any]) -> DataOptions:
    """Return the parsed values of `image_options` for the library; without a source, the generated scenes."""
    from fcn_deploy.data.options import DataOptions

    return DataOptions(
        source=given["data"],
        on_error="skip" if given["bad_images"] == "skip" else "raise",
        **picked(given, "labels", "split", "limit", *LABEL_NAMES),
    )
