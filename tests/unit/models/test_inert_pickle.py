"""A pickle is read as data: whatever it names, nothing is imported, called or changed."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.inert_pickle import Stub, read_pickle
from fcn_deploy.models.network import load_network
from fcn_deploy.models.weights_file import read_weights
from tests.support.reference_nets import caffe_state

WRAPPED: dict[str, Callable[[Any, Any], Any]] = {
    "the file itself": lambda state, payload: {**state, "extra": payload},
    "model": lambda state, payload: {"model": state, "args": payload},
    "inside model": lambda state, payload: {"model": {**state, "extra": payload}},
    "state_dict": lambda state, payload: {"state_dict": state, "hyper_parameters": {"x": [payload]}},
    "ema": lambda state, payload: {"model": state, "ema": payload},
    "a key": lambda state, payload: {"model": state, payload: 1},
    "arch": lambda state, payload: {"model": state, "arch": payload},
}


class Calls:
    """Pickled as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call


class SetsState(torch.nn.Module):
    """A class of PyTorch's kind whose state would be set by code of its own."""

    ran = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        SetsState.ran += 1


def payloads(marker: Path) -> dict[str, object]:
    return {
        "os.system": Calls(os.system, f"touch {marker}"),
        "eval": Calls(eval, f"open({str(marker)!r}, 'w')"),
        "a class of one's own": SetsState(),
        "a module of PyTorch": torch.nn.BatchNorm2d(3),
        "a function of PyTorch": Calls(torch.nn.init.ones_, torch.zeros(2)),
        "a loader": Calls(torch.storage._load_from_bytes, b"x"),
        "getattr": Calls(getattr, marker, "touch"),
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_no_payload_runs_in_any_wrapper(wrapped: str, legacy: bool, tmp_path: Path):
    state, marker = caffe_state("fcn32s-caffe", 2), tmp_path / "marker"
    for name, payload in payloads(marker).items():
        content = WRAPPED[wrapped](state, payload)
        torch.save(content, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
        if name in ("os.system", "eval"):
            with pytest.raises(CheckpointError, match=r"holds code \((posix|nt|__builtin__)\.(system|eval)\)"):
                load_network(tmp_path / "net.pth")
        else:
            found, _ = load_network(tmp_path / "net.pth")
            assert torch.equal(found.get_parameter("fc7.weight"), state["fc7.weight"])
    assert not marker.exists()
    assert SetsState.ran == 0


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_module_that_a_file_names_is_not_imported(protocol: int, tmp_path: Path):
    (tmp_path / "tripwire.py").write_text("raise SystemExit('imported')")
    sys.path.insert(0, str(tmp_path))
    try:
        (tmp_path / "a.pkl").write_bytes(
            b"\x80" + bytes([protocol]) + b"ctripwire\nThing\n)R}(X\x01\x00\x00\x00aK\x01ub."
        )
        content, stubs = read_pickle(tmp_path / "a.pkl", zipped=False)
    finally:
        sys.path.remove(str(tmp_path))
    assert (content, stubs) == ({"a": 1}, ("tripwire.Thing",))
    assert isinstance(content, Stub)
    assert "tripwire" not in sys.modules


@pytest.mark.parametrize(
    "program",
    [
        b"ccollections\nOrderedDict\n}(X\x01\x00\x00\x00aK\x01ub.",  # state for a class of Python
        b"ccollections\nOrderedDict\nN}(X\x05\x00\x00\x00clearK\x01u\x86b.",  # attributes for it
        b"ctorch\nFloatStorage\n}(X\x01\x00\x00\x00aK\x01ub.",
        b"ctorch\nFloatStorage\n)R.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03tR.",
    ],
)
def test_a_program_that_reaches_for_real_objects_fails_in_one_line(program: bytes, tmp_path: Path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02" + program)
    with pytest.raises(CheckpointError, match=r"a\.pkl is no readable checkpoint"):
        read_weights(tmp_path / "a.pkl")
    assert callable(collections.OrderedDict.clear)
    assert not hasattr(torch.float32, "a")


def test_a_mapping_that_holds_itself_ends(tmp_path: Path):
    loop: dict[str, Any] = {"a": torch.ones(2)}
    loop |= dict.fromkeys(("model", "state_dict", "ema", "b", "c"), loop)
    torch.save(loop, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="follows no known convention"):
        load_network(tmp_path / "net.pth")


def values() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).reshape(2, 3, 4)
    return {
        "whole": base,
        "strided": base.transpose(0, 2)[1:, ::2],
        "shared": base[1],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "after an odd count of bytes": torch.arange(4, dtype=torch.float64),
        **{str(kind): torch.tensor([1, 0, 2]).to(kind) for kind in (torch.bool, torch.int8, torch.bfloat16)},
    }


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_those_that_pytorch_reads(legacy: bool, tmp_path: Path):
    path = tmp_path / "net.pth"
    others = {"best": np.float64(0.5), "args": argparse.Namespace(a=1), "counts": collections.Counter("aab")}
    torch.save({"net": values(), **others}, path, _use_new_zipfile_serialization=not legacy)
    content, stubs = read_pickle(path, zipped=not legacy)
    assert "argparse.Namespace" in stubs
    assert content["args"] == {"a": 1}
    for name, expected in values().items():
        assert torch.equal(content["net"][name], expected)
        assert (content["net"][name].dtype, content["net"][name].shape) == (expected.dtype, expected.shape)


def test_a_tensor_outside_its_storage_is_refused(tmp_path: Path):
    class Longer(torch.Tensor):
        def __reduce_ex__(self, protocol: Any) -> Any:
            function, (storage, offset, _, stride, *rest) = torch.Tensor(self).__reduce_ex__(protocol)
            return function, (storage, offset, (4000,), stride, *rest)

    torch.save({"a": torch.ones(4).as_subclass(Longer)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match="a tensor lies outside its storage"):
        read_weights(tmp_path / "net.pth")


def test_plain_pickles_are_read_to_say_what_they_hold(tmp_path: Path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": np.ones(3)}))
    with pytest.raises(CheckpointError, match="holds code"):
        load_network(tmp_path / "a.pkl")
