"""Damaged files of weights."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.conventions import State
from fcn_deploy.models.weights_file import read_weights


def write(state: State, path: Path, kind: str) -> Path:
    if kind == "safetensors":
        save_file(dict(state), path, {"source": "somewhere"})
    else:
        torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_read_or_refused_in_one_line(kind: str, tmp_path: Path):
    chance = random.Random(0)
    state = {f"conv{stage}_1.{leaf}": torch.ones(3) for stage in (1, 2, 3) for leaf in ("weight", "bias")}
    path = write(state, tmp_path / "net.file", kind)
    whole, refusals = path.read_bytes(), []
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except CheckpointError as error:
            refusals.append(str(error))
    assert 50 < len(refusals) < 200  # what hits a weight's value or padding is not to be noticed
    assert all(line.isprintable() for line in refusals)
