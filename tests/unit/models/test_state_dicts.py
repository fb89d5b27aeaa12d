"""Wrappers, prefixes and averaged weights: which tensors are taken, and what is said of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.network import load_network
from tests.support.recorded_progress import RecordedProgress
from tests.support.reference_nets import State, caffe_state

FIRST = "conv1_1.bias"


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return caffe_state("fcn16s-caffe", 3)


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def doubled(state: State) -> State:
    return {key: 2 * value for key, value in state.items()}


def loaded(content: object, folder: Path, **options: object) -> tuple[torch.Tensor, list[str]]:
    """Return one of the network's weights, and what was said without the path."""
    torch.save(content, path := folder / "net.pth")
    recorded = RecordedProgress()
    network, card = load_network(path, progress=recorded, **options)  # type: ignore[arg-type]
    assert card.model == "fcn16s-caffe"
    return network.get_parameter(FIRST), [line.replace(str(path), "FILE") for line in recorded.lines]


@pytest.mark.parametrize(
    "path", ["state_dict", "model_state_dict", "model_state", "model", "net", "params", "module", "model.state_dict"]
)
def test_wrappers_are_looked_into_silently(path: str, state: State, tmp_path: Path):
    content: dict[str, object] = dict(state)
    for name in reversed(path.split(".")):
        content = {"epoch": 3, name: content, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
    found, said = loaded(content, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert said == []


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net.", "model._orig_mod.", "a.b.c."])
def test_a_prefix_is_taken_off_and_said(prefix: str, state: State, tmp_path: Path):
    found, said = loaded({"state_dict": prefixed(state, prefix)}, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert said == [f"FILE: took {prefix} off the names of its tensors"]


def test_a_prefix_is_taken_off_safetensors_too(state: State, tmp_path: Path):
    save_file(prefixed(state, "module."), tmp_path / "net.safetensors")
    assert torch.equal(load_network(tmp_path / "net.safetensors")[0].get_parameter(FIRST), state[FIRST])


def test_what_lies_next_to_the_prefix_is_left_out_and_said(state: State, tmp_path: Path):
    extra = {f"criterion.{name}": torch.ones(1) for name in "abcd"}
    found, said = loaded({"state_dict": prefixed(state, "model.") | extra}, tmp_path)
    assert torch.equal(found, state[FIRST])
    left = "criterion.a, criterion.b, criterion.c and 1 more"
    assert said == [f"FILE: took model. off the names of its tensors, and left out {left}"]


@pytest.mark.parametrize("name", ["ema", "model_ema", "state_dict_ema", "params_ema"])
def test_of_averaged_and_trained_weights_the_choice_is_reported_and_can_be_made(
    name: str, state: State, tmp_path: Path
):
    content = {"model": state, name: {"module": doubled(state)}}
    found, said = loaded(content, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert said == [
        f"FILE holds model and {name}.module (averaged): read model; "
        f"`fcn-deploy export --weights {name}.module` reads the other"
    ]
    for wanted in ("ema", f"{name}.module", name):
        found, said = loaded(content, tmp_path, weights=wanted)
        assert torch.equal(found, 2 * state[FIRST])
        assert said == []
    assert torch.equal(loaded(content, tmp_path, weights="model")[0], state[FIRST])


def test_two_prefixes_in_one_state_dict_are_a_choice_too(state: State, tmp_path: Path):
    content = {"state_dict": prefixed(state, "model.") | prefixed(doubled(state), "teacher.")}
    found, said = loaded(content, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert "holds state_dict.model and state_dict.teacher (averaged): read state_dict.model" in said[0]
    assert torch.equal(loaded(content, tmp_path, weights="state_dict.teacher")[0], 2 * state[FIRST])
    assert torch.equal(loaded(content, tmp_path, weights="ema")[0], 2 * state[FIRST])


def test_other_tensors_under_a_known_wrapper_are_no_choice(state: State, tmp_path: Path):
    found, said = loaded({"ema": {"decay": torch.ones(1)}, "state_dict": state}, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert said == []


def test_averaged_weights_alone_are_read_and_said(state: State, tmp_path: Path):
    found, said = loaded({"n_averaged": torch.tensor(9), **prefixed(state, "module.")}, tmp_path)
    assert torch.equal(found, state[FIRST])
    assert said == [
        "FILE: read the averaged weights, the only ones",
        "FILE: took module. off the names of its tensors, and left out n_averaged",
    ]


def test_weights_under_any_other_key_are_read_where_it_is_named(state: State, tmp_path: Path):
    content = {"best": {"generator": state}, "epoch": 3}
    with pytest.raises(CheckpointError, match=r"no tensors \(found best, epoch\); .* --weights KEY"):
        loaded(content, tmp_path)
    assert torch.equal(loaded(content, tmp_path, weights="best.generator")[0], state[FIRST])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("ema", "holds no averaged weights; it has model"), ("nets.a", "holds no weights under nets.a; it has model")],
)
def test_weights_that_are_not_there_are_refused(wanted: str, message: str, state: State, tmp_path: Path):
    with pytest.raises(CheckpointError, match=message):
        loaded({"model": state}, tmp_path, weights=wanted)


def test_a_recipe_chooses_for_every_command(state: State, tmp_path: Path):
    torch.save({"model": state, "ema": doubled(state)}, tmp_path / "net.pth")
    (tmp_path / "net.toml").write_text('name = "n"\ncheckpoint = "net.pth"\nweights = "ema"\n')
    assert torch.equal(load_network(tmp_path / "net.toml")[0].get_parameter(FIRST), 2 * state[FIRST])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read_as_float32_and_said(kind: torch.dtype, state: State, tmp_path: Path):
    found, said = loaded({key: value.to(kind) for key, value in state.items()}, tmp_path)
    assert torch.equal(found, state[FIRST].to(kind).float())
    assert said == [f"FILE holds {str(kind).removeprefix('torch.')} weights: read as float32"]


@pytest.mark.parametrize("legacy", [False, True])
def test_what_training_scripts_store_next_to_the_weights_is_no_obstacle(legacy: bool, state: State, tmp_path: Path):
    torch.save(
        {
            "model": state,
            "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"params": [0]}]},
            "args": argparse.Namespace(lr=0.01, root=tmp_path, model=None),
            "callbacks": {argparse.Namespace: [torch.device("cpu"), torch.float32, torch.Size([2]), {1, 2}]},
        },
        tmp_path / "net.pth",
        _use_new_zipfile_serialization=not legacy,
    )
    network, _ = load_network(tmp_path / "net.pth")
    assert torch.equal(network.get_parameter(FIRST), state[FIRST])
