"""A small network with labels of every class, saved as a checkpoint, and the command line to run it through."""

from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner, Result

from fcn_deploy.cli.main import cli
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.registry import build, new_card


def save_small_model(path: Path, classes: tuple[str, ...] = SYNTHETIC_CLASSES) -> Path:
    """FCN-8s of 8 channels a stage with random scores."""
    torch.manual_seed(0)
    card = new_card("fcn8s", classes, width=0.05, head="pool5")
    model = build(card)
    with torch.no_grad():
        for layer in (model.score_fr, model.score_pool4, model.score_pool3):
            layer.weight.normal_(std=0.3)
    save_model(path, model, card)
    return path


def invoke(*arguments: str) -> Result:
    """Run a command in this process; what it raises is raised here."""
    result = CliRunner().invoke(cli, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
