from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.pytorch import TorchRunner
from fcn_deploy.runners.registry import open_runner

CARD = ModelCard("fcn32s", ("red", "green", "blue"), mean=(10.0, 20.0, 30.0), std=(2.0, 1.0, 4.0))
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 33, 47, 3)).astype(np.uint8)


def channels(image: np.ndarray) -> np.ndarray:
    """The logits of an identity network: the normalised channels."""
    return ((image.astype(np.float64) - CARD.mean) / CARD.std).transpose(0, 3, 1, 2)


@pytest.fixture
def runner():
    with TorchRunner("pytorch", nn.Identity(), CARD) as opened:
        yield opened


def test_labels_are_the_arg_max_of_the_normalised_image(runner):
    labels = runner.infer({"image": IMAGE})["labels"]
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, channels(IMAGE).argmax(1))


def test_logits_are_there_for_margins(runner):
    # one subtraction and one division in float32 of numbers below 256: 1e-5 absolute is 40 roundings
    assert np.allclose(runner.logits(IMAGE), channels(IMAGE), atol=1e-5)


def test_both_outputs_on_request():
    with TorchRunner("pytorch", nn.Identity(), CARD, outputs=("logits", "labels")) as both:
        results = both.infer({"image": IMAGE})
    assert list(results) == ["logits", "labels"]
    assert np.array_equal(results["logits"].argmax(1), results["labels"])


def test_results_belong_to_the_caller(runner):
    first = runner.infer({"image": IMAGE})["labels"]
    kept = first.copy()
    runner.infer({"image": 255 - IMAGE})
    assert np.array_equal(first, kept)


def test_a_read_only_image_is_taken_without_a_warning(runner, recwarn):
    image = IMAGE.copy()
    image.flags.writeable = False
    runner.infer({"image": image})
    runner.logits(image)
    assert not recwarn.list


def test_no_gradient_is_kept():
    with TorchRunner("pytorch", nn.Conv2d(3, 3, 1), CARD) as runner:
        runner.upload({"image": IMAGE})
        runner.execute()
        assert not any(tensor.requires_grad for tensor in runner._results.values())


def test_a_closed_runner_gives_no_logits(runner):
    runner.close()
    with pytest.raises(RunnerError, match="is closed"):
        runner.logits(IMAGE)


def test_a_network_that_fails_is_a_runner_error_of_one_line():
    with TorchRunner("pytorch", nn.Conv2d(4, 3, 1), CARD) as runner, pytest.raises(RunnerError) as caught:
        runner.infer({"image": IMAGE})
    assert "failed on [2, 33, 47, 3]" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_saved_model_gives_its_own_labels(tmp_path):
    from fcn_deploy.contract import Contract
    from fcn_deploy.models.checkpoints import save_model
    from fcn_deploy.models.registry import build, new_card

    torch.manual_seed(1)
    card = new_card("fcn8s", ("a", "b", "c", "d", "e"), width=0.05, head="pool5")
    model = build(card)
    nn.init.normal_(model.score_pool3.weight)
    save_model(tmp_path / "m.safetensors", model, card)
    with open_runner("pytorch", str(tmp_path / "m.safetensors")) as runner:
        labels = runner.infer({"image": IMAGE})["labels"]
        assert runner.card.classes == card.classes
    with torch.inference_mode():
        assert np.array_equal(labels, Contract(model, card)(torch.from_numpy(IMAGE)).numpy())
    assert len(np.unique(labels)) > 1
