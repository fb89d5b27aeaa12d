"""What a run says before and after its first steps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.opening import Pace, duration, opening_lines


def lines(images, parameters=134_000_000, step=0, **settings):
    config = TrainConfig("a", "b", Path("run"), **settings)
    model = nn.Module()
    model.register_parameter("weight", nn.Parameter(nn.Linear(1, 1).weight.new_empty(1).expand(parameters)))
    material = SimpleNamespace(train=range(images), val=range(12))
    return opening_lines(config, model, material, "cpu", step)


def test_the_network_its_weights_and_the_images_are_named():
    assert lines(600) == [
        "fcn8s: 134,000,000 parameters, random weights, cpu; 600 training images, 12 for validation, 150 steps an epoch"
    ]
    assert ", from demo, " in lines(60, init="demo")[0]
    assert ", weights of step 7, " in lines(60, step=7)[0]


def test_a_large_network_from_random_weights_on_few_images_is_warned_of_with_a_better_start():
    assert lines(60)[1:] == [
        "60 images cannot train 134 million random weights: start with --init demo --width 0.25 --head pool5, ImageNet "
        "weights (--init vgg16-imagenet.toml) or a public FCN (--init fcn8s-voc.toml), or make the network smaller "
        "with --width"
    ]
    assert "demo" not in lines(60, model="fcn32s")[1]
    assert "--init fcn32s-voc.toml" in lines(60, model="fcn32s")[1]
    assert "fcn-resnet50-coco.toml" in lines(60, model="fcn-resnet50")[1]
    for fine in (lines(500), lines(60, 900_000), lines(60, init="demo"), lines(60, step=7)):
        assert len(fine) == 1


def test_an_epoch_is_estimated_once_from_the_steps_after_the_first():
    pace = Pace(steps_per_epoch=30, epochs=60)
    said = [pace.after(seconds) for seconds in (9.0, 2.0, 2.0, 2.0, 2.0, 2.0)]
    assert said == [
        None, None, None, None,
        "an epoch takes about 60 s, 60 epochs 60 min; validation comes on top", None,
    ]  # fmt: skip


def test_slow_steps_are_not_waited_for_and_short_runs_not_estimated():
    assert Pace(92, 60).after(45.0) == "an epoch takes about 69 min, 60 epochs 69.0 h; validation comes on top"
    quick = Pace(5, 2)
    assert [quick.after(0.1) for _ in range(9)] == [None] * 9


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5400, "1.5 h")])
def test_durations_have_a_unit_that_is_read_at_once(seconds, words):
    assert duration(seconds) == words
