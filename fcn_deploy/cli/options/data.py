"""The options that say which images, and which network, for every command that runs a model on a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.values import parse_classes
from fcn_deploy.vocabulary import BAD_IMAGES

if TYPE_CHECKING:
    from fcn_deploy.data.options import DataOptions

Decorator = Callable[[Any], Any]


def image_options(
    flag: str = "--data", *, split: str = "val", limit_flag: str = "--limit", limit: int | None = None
) -> tuple[Decorator, ...]:
    """The options of one set of images; `data_options` reads their values, whatever the flags are called."""
    return (
        click.option(
            flag,
            "data",
            metavar="SOURCE",
            help="A list of 'image label' pairs, a Pascal VOC root, a folder of images, or "
            "synthetic[:COUNT[:SEED[:HxW]]].",
        ),
        click.option("--labels", metavar="DIR", help=f"Folder of label maps, where {flag} is a folder of images."),
        click.option("--classes", help="Class names: a file with one a line, or a comma-separated list."),
        click.option("--ignore-index", type=int, help="The label value that is unlabelled.  [default: 255]"),
        click.option("--split", default=split, show_default=True, help="Which list of a Pascal VOC root."),
        click.option(
            limit_flag,
            "limit",
            type=click.IntRange(min=1),
            default=limit,
            show_default=limit is not None,
            help="At most so many images, spread over the data set.",
        ),
        click.option(
            "--bad-images",
            type=click.Choice(BAD_IMAGES),
            default="stop",
            show_default=True,
            help="What to do at an image that cannot be read.",
        ),
    )


DATA_OPTIONS = image_options()
MOST_THREADS = 1024  # of far more the backends die without a word

model_option: Decorator = click.option(
    "--model", "model_name", metavar="NAME", help="What a checkpoint holds, where its keys leave a choice."
)


def with_options(options: Sequence[Decorator]) -> Decorator:
    """Apply click options in the order in which help lists them."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def data_options(given: Mapping[str, Any]) -> DataOptions:
    """The parsed values of `image_options` as the library takes them; without a source, the generated scenes."""
    from fcn_deploy.data.options import DataOptions

    return DataOptions(
        source=given["data"] or "synthetic",
        labels=given["labels"],
        classes=parse_classes(given["classes"]),
        ignore_index=given["ignore_index"],
        split=given["split"],
        limit=given["limit"],
        on_error="skip" if given["bad_images"] == "skip" else "raise",
    )
