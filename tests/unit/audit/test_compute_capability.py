"""Which GPUs a file in FP8 or BF16 needs: a note where none is named, an error for each that lacks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.audit.audit import Audit, AuditRow
from fcn_deploy.audit.compute_capability import for_gpus
from fcn_deploy.audit.finding import Finding
from fcn_deploy.audit.text import summary
from fcn_deploy.engine.builder import options
from fcn_deploy.engine.builder.options import named_gpus
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.sizes import ImageSize

KNOWN = Finding("opset", "warning", (), "opset 19 is beyond 17", "")


def lines(*kinds: str, gpus: tuple[str, ...] = ()) -> tuple[bool, list[str]]:
    rows = tuple(AuditRow(kind, "Conv", kind, None, 8, "") for kind in kinds)
    found = for_gpus(Audit(Path("m.onnx"), ImageSize(1, 33, 47), rows, (KNOWN,)), gpus)
    return found.rejected, summary(found)[1:]


def test_without_a_gpu_by_name_the_audit_notes_which_the_file_needs():
    rejected, found = lines("FP8", "FP32")
    assert not rejected
    assert found[1:] == ["warning: the file computes in FP8: GPUs have it from compute capability 8.9 on (SM89)"]
    assert lines("BF16")[1][1].endswith("computes in BF16: GPUs have it from compute capability 8.0 on (SM80)")
    assert len(lines("INT8", "FP16", "FP32")[1]) == 1


@pytest.mark.parametrize(
    ("kind", "gpus", "without"),
    [("FP8", ("SM86", "SM120", "SM75"), "SM86, SM75"), ("BF16", ("SM75",), "SM75"), ("FP8", ("SM89",), "")],
)
def test_a_gpu_that_lacks_the_type_is_an_error_and_comes_first(kind, gpus, without):
    rejected, found = lines(kind, "FP32", gpus=gpus)
    assert rejected == bool(without)
    assert not without or found[0].startswith(f"error: {without}: has no {kind}: GPUs have it from")
    assert len(found) == 1 + bool(without)


def test_the_gpu_at_hand_is_known_by_its_number_and_missing_in_one_line(monkeypatch):
    assert named_gpus(None) == ()
    monkeypatch.setattr(options, "own_sm", lambda: "SM86")
    assert named_gpus("89, current") == ("SM89", "SM86")
    monkeypatch.setattr(options, "own_sm", lambda: None)
    with pytest.raises(EngineError, match="this machine shows no GPU; give its compute capability, as in --sm 89"):
        named_gpus("current")
