"""One step of gradient descent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import TrainingError
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loading import Batch
from fcn_deploy.training.step import (
    Stepper,
    TrainingDevice,
    choose_device,
    default_warmup,
    learning_rate,
    parameter_groups,
    size_advice,
)
from tests.conftest import tiny_model

CPU = TrainingDevice(torch.device("cpu"), None)
PLAIN = {"lr": 0.5, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 0.0}


class PerPixel(nn.Module):
    """Logits = a 1x1 convolution of the image, with an auxiliary head of the same kind if asked for."""

    def __init__(self, aux: bool = False) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, 2, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)
        if aux:
            self.forward_with_aux = lambda x: (self.score(x), self.score(x))

    def forward(self, x):
        return self.score(x)


def stepper(model=None, precision=CPU, **options):
    config = TrainConfig("a", "b", Path("c"), **{**PLAIN, **options})
    card = ModelCard("fcn8s", ("a", "b"), mean=(0, 0, 0), std=(1, 1, 1))
    return Stepper(model or PerPixel(), card, config, precision)


def batch(labels):
    labels = torch.tensor(labels)
    return Batch(torch.ones(*labels.shape, 3, dtype=torch.uint8), labels, [])


def test_one_step_of_plain_descent_by_hand():
    # Logits 0: probability 1/2 each. Of four pixels one is ignored, two are class 0, one is class 1, so the mean
    # gradient of the bias is ((1/2 - 1) * 2 + 1/2) / 3 = -1/6 for class 0 and +1/6 for class 1; step 0.5.
    taken = stepper()
    loss_sum, pixels = taken.step(batch([[[0, 0], [1, 255]]]), 0, 0.5)
    assert pixels == 3
    assert loss_sum == pytest.approx(3 * 0.6931472, rel=1e-6)  # ln 2 a pixel
    assert taken.contract.model.score.bias.tolist() == pytest.approx([1 / 12, -1 / 12])
    assert taken.contract.model.score.weight[0, :, 0, 0].tolist() == pytest.approx([1 / 12] * 3)


def test_the_mean_is_over_labelled_pixels_of_the_whole_batch():
    # image 1 has four labelled pixels of class 0, image 2 one of class 1: (-1/2 * 4 + 1/2) / 5 = -0.3
    taken = stepper()
    taken.step(batch([[[0, 0], [0, 0]], [[255, 255], [255, 1]]]), 0, 1.0)
    assert taken.contract.model.score.bias.tolist() == pytest.approx([0.3, -0.3])


def test_a_batch_without_a_labelled_pixel_changes_nothing():
    taken = stepper(momentum=0.9, weight_decay=0.1)
    nn.init.ones_(taken.contract.model.score.weight)
    assert taken.step(batch([[[255, 255]]]), 0, 1.0) == (0.0, 0)
    assert taken.contract.model.score.weight.unique().tolist() == [1.0]


def test_the_auxiliary_head_counts_half():
    taken = stepper(PerPixel(aux=True))
    loss_sum, _ = taken.step(batch([[[0, 0]]]), 0, 1.0)
    assert loss_sum == pytest.approx(2 * 1.5 * 0.6931472, rel=1e-6)
    assert taken.contract.model.score.bias.tolist() == pytest.approx([0.75, -0.75])


def test_the_gradient_is_clipped_to_the_norm():
    taken = stepper(clip_norm=0.1)
    taken.step(batch([[[0, 0]]]), 0, 1.0)
    moved = torch.cat([p.detach().flatten() for p in taken.contract.parameters()])
    assert float(moved.norm()) == pytest.approx(0.1, rel=1e-4)  # clip_grad_norm_ adds 1e-6 to the norm


def test_a_loss_that_is_not_finite_leaves_the_weights_alone():
    taken = stepper()
    taken.contract.model.score.weight.data.fill_(float("inf"))
    loss_sum, _ = taken.step(batch([[[0, 1]]]), 0, 1.0)
    assert loss_sum != loss_sum
    assert taken.contract.model.score.bias.tolist() == [0.0, 0.0]


def test_dropout_depends_on_the_number_of_the_step_and_on_nothing_before_it():
    def weights(number, disturb):
        model, card = tiny_model(classes=3)
        taken = Stepper(model, card, TrainConfig("a", "b", Path("c")), CPU)
        taken.contract.train()
        torch.rand(disturb)
        taken.step(
            Batch(torch.full((2, 33, 47, 3), 90, dtype=torch.uint8), torch.ones(2, 33, 47).long(), []), number, 0.1
        )
        return taken.contract.model.score_fr.weight.detach()

    assert torch.equal(weights(0, 1), weights(0, 7))
    assert not torch.equal(weights(0, 1), weights(1, 1))


def test_bfloat16_autocast_on_a_cpu_still_steps_in_float32():
    taken = stepper(precision=choose_device("cpu", True))
    loss_sum, pixels = taken.step(batch([[[0, 0], [1, 255]]]), 0, 0.5)
    assert (loss_sum / pixels) == pytest.approx(0.6931472, rel=1e-6)
    assert taken.contract.model.score.bias.dtype is torch.float32


def test_bfloat16_autocast_on_a_cpu_leaves_transposed_convolutions_in_float32():
    model, _ = tiny_model(classes=2)
    types = {}
    for name, layer in model.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda m, x, y, name=name: types.update({name: y.dtype}))
    taken = stepper(model=model, precision=choose_device("cpu", True))
    taken.step(Batch(torch.full((1, 33, 47, 3), 90, dtype=torch.uint8), torch.ones(1, 33, 47).long(), []), 0, 0.1)
    assert {types["upscore2"], types["upscore8"]} == {torch.float32}
    assert types["score_fr"] is torch.bfloat16


def test_only_convolution_weights_decay_and_fixed_upsampling_is_not_trained():
    model, _ = tiny_model(learned=False)
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, kept = parameter_groups(model, 0.01)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.01, 0.0)
    assert {names[p].rpartition(".")[2] for p in decayed["params"]} == {"weight"}
    assert {names[p].rpartition(".")[2] for p in kept["params"]} == {"bias"}
    learned = {names[p] for group in (decayed, kept) for p in group["params"]}
    assert set(names.values()) - learned == {"upscore2.weight", "upscore_pool4.weight", "upscore8.weight"}


def test_learned_transposed_convolutions_are_not_decayed():
    model, _ = tiny_model()
    _, kept = parameter_groups(model, 0.01)
    assert any(p is model.upscore8.weight for p in kept["params"])


def test_a_failed_allocation_says_what_to_make_smaller():
    config = TrainConfig("a", "b", Path("c"), batch=64, crop=(480, 640))
    with pytest.raises(TrainingError, match="--batch 64 and --crop 480x640"), size_advice(config, 64):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB ...")
    with pytest.raises(RuntimeError, match="a bug"), size_advice(config, 64):
        raise RuntimeError("a bug")


def test_poly_schedule_at_the_start_the_middle_and_the_last_step():
    assert learning_rate(0, 100, 0.01, 0, 0.9) == 0.01
    assert learning_rate(50, 100, 0.01, 0, 0.9) == pytest.approx(0.00535887, rel=1e-6)  # 0.01 * 2 ** -0.9
    assert learning_rate(99, 100, 0.01, 0, 0.9) == pytest.approx(0.000158489, rel=1e-5)  # 0.01 * 10 ** -1.8


def test_warm_up_rises_linearly_and_reaches_the_full_rate_at_its_last_step():
    # power 0: no decay, so that the rise alone is seen
    assert [learning_rate(step, 10, 0.4, 4, 0.0) for step in range(6)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_warm_up_multiplies_the_decay_and_does_not_delay_it():
    assert learning_rate(1, 4, 1.0, 4, 1.0) == pytest.approx(0.5 * 0.75)


def test_default_warm_up_is_a_twentieth_of_the_run_and_at_most_a_thousand_steps():
    assert [default_warmup(total) for total in (10, 60, 5520, 10**6)] == [0, 3, 276, 1000]
