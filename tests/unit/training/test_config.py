"""The configuration of a run, and what may differ when it goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fcn_deploy.errors import TrainingError
from fcn_deploy.training.config import TrainConfig, command_line, differences

PLAIN = TrainConfig("train.txt", "val.txt", Path("runs/a"))
FULL = TrainConfig(
    "images", "val", Path("runs/b"), labels="l", val_labels="vl", classes=("sky", "road"), ignore_index=11,
    model="fcn16s", options={"width": 0.25, "learned": False}, init="32s.safetensors", epochs=7, batch=2,
    crop=(96, 128), scale=(0.5, 2.0), flip=False, lr=0.02, warmup=10, seed=3, amp=True, workers=2, eval_every=2,
)  # fmt: skip


@pytest.mark.parametrize("config", [PLAIN, FULL])
def test_a_configuration_survives_json(config):
    assert TrainConfig.from_json(config.to_json()) == config


def test_a_damaged_configuration_is_an_expected_error():
    with pytest.raises(TrainingError, match="cannot be read"):
        TrainConfig.from_json('{"data": "a"}')


def test_only_what_changes_the_result_counts_as_a_difference():
    moved = replace(PLAIN, output=Path("elsewhere"), device="cpu", workers=3, save_seconds=5.0)
    assert differences(PLAIN, moved) == []
    assert differences(PLAIN, replace(PLAIN, lr=0.02, eval_every=4)) == [
        "lr was 0.01, now 0.02",
        "eval-every was 1, now 4",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch": -1}, "batch must be at least 1"),
        ({"crop": (0, 32)}, "crop must be at least 1x1, not 0x32"),
        ({"scale": (2.0, 1.0)}, "scale needs 0 < MIN <= MAX"),
        ({"scale": (0.0, 1.0)}, "scale needs 0 < MIN <= MAX"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1e-4}, "weight-decay must be from 0 to 1e[+]38, not -0.0001"),
        ({"clip_norm": float("nan")}, "clip-norm must be from 0 to 1e[+]38, not nan"),
        ({"lr": 1e308}, "lr must be above 0 and at most 1e[+]38"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seed": 2**63}, "seed must be at most 9223372036854775807"),
        ({"workers": 257}, "workers must be at most 256, not 257"),
        ({"scale": (1.0, float("inf"))}, "scale needs 0 < MIN <= MAX <= 100, not 1.0,inf"),
        ({"scale": (1e-6, 1e-6)}, "crop 320x320 at scale 1e-06 needs more than 134217728 pixels"),
        ({"scale": (1e-300, 1.0)}, "crop 320x320 at scale 1e-300 needs"),
        ({"crop": (200_000, 200_000)}, "crop 200000x200000 at scale 0.75 needs"),
        ({"crop": (200_000, 200_000), "scale": (100.0, 100.0)}, "crop 200000x200000 at scale 100 needs"),
    ],
)
def test_values_out_of_range_are_refused_by_name(change, words):
    with pytest.raises(TrainingError, match=words):
        replace(PLAIN, **change)


def test_the_command_line_of_a_run_holds_what_is_not_at_its_default():
    assert command_line(PLAIN) == "fcn-deploy train --data train.txt --val val.txt --model fcn8s -o runs/a"
    assert command_line(FULL) == (
        "fcn-deploy train --data images --val val --model fcn16s --width 0.25 --fixed-upsampling --labels l "
        "--val-labels vl --ignore-index 11 --init 32s.safetensors --epochs 7 --batch 2 --lr 0.02 --warmup 10 "
        "--seed 3 --eval-every 2 --classes sky,road --crop 96x128 --scale 0.5,2.0 --no-flip --amp -o runs/b"
    )
