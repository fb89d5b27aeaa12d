"""The options of INT8 calibration, for the commands that rewrite a model."""

from __future__ import annotations

import click

from fcn_deploy.cli.options.command import option
from fcn_deploy.cli.options.data import image_options
from fcn_deploy.cli.options.values import FILE
from fcn_deploy.vocabulary import METHODS

CALIBRATION_IMAGES = image_options("--calib", split="train", limit=100, was=("--limit", "--images"))
method_option = option(
    "--method",
    type=click.Choice(METHODS),
    default="mse",
    help="How to choose the range of an activation from its values on these images.",
)
percentile_option = option(
    "--percentile",
    type=click.FloatRange(min=50, max=100),
    default=99.99,
    help="Percentage of the values that --method percentile does not clip.",
)
cache_option = option(
    "--calib-cache",
    type=FILE,
    help="Store the measured values in this file; read them from it if graph and images are the same.",
)
keep_option = option(
    "--keep", multiple=True, metavar="NODE", help="Leave this node in float; score_* is a pattern; repeatable."
)
