"""The options that say how much accuracy a file may lose: one meaning in every command that has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.options.command import Decorator, option
from fcn_deploy.cli.options.numbers import Form
from fcn_deploy.errors import FcnDeployError, restated

if TYPE_CHECKING:
    from fcn_deploy.metrics.budget import AccuracyBudget

WORSE = 3  # exit code: measured, and not within the limits


def points(text: str) -> float:
    """Parse "0.3" as 0.3 points of IoU, 0 to 100."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) > 100:
        raise click.BadParameter(
            f"'{text}' is not a number of points from 0 to 100; write 0.3 for three tenths of a point of mIoU"
        )
    return float(text)


def points_or_gain(text: str) -> float:
    """Parse "0.3" as `points` does, and "-0.3" as a gain that is asked for."""
    return -points(text[1:]) if text.startswith("-") else points(text)


def class_drops(text: str) -> dict[str, float]:
    """Parse "pole=1,car=0.5" for click, which names the option in the error."""
    from fcn_deploy.metrics.budget import parse_class_drops

    with restated(click.BadParameter, FcnDeployError):
        return parse_class_drops(text)


POINTS = Form(points, "0<=x<=100")
POINTS_OR_GAIN = Form(points_or_gain, "-100<=x<=100")
CLASS_DROPS = Form(class_drops, "0<=x<=100")


def budget_options(against: str, miou_type: Form = POINTS) -> tuple[Decorator, ...]:
    """Return the three options.

    Args:
        against: what the loss is against, as the end of a sentence: "on --data", "against the first file".
        miou_type: of --max-miou-drop, where it may be below 0 too.
    """
    return (
        option("--max-miou-drop", type=miou_type, metavar="POINTS", help=f"Largest loss of mIoU {against}."),
        option("--max-boundary-drop", type=POINTS, metavar="POINTS", help="The same near label changes."),
        option(
            "--max-class-drop",
            type=CLASS_DROPS,
            metavar="CLASS=POINTS,...",
            help="Largest loss of IoU of single classes: pole=1,car=0.5.",
        ),
    )


def budget_of(given: Mapping[str, Any]) -> AccuracyBudget:
    """Return the parsed values of `budget_options`."""
    from fcn_deploy.metrics.budget import AccuracyBudget

    return AccuracyBudget(given["max_miou_drop"], given["max_boundary_drop"], given["max_class_drop"] or {})
