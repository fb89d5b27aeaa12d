"""What a second process does with the folder of a choice that is running."""

from __future__ import annotations

from pathlib import Path

import pytest

import fcn_deploy
from fcn_deploy.choice.opening import TRIED
from fcn_deploy.system.lock import building
from fcn_deploy.system.progress import Silent


class WaitError(Exception):
    """The notice of a wait."""


class RaisesOnWait(Silent):
    def say(self, line: str) -> None:
        if line.startswith("another process is writing"):
            raise WaitError(line)


def test_a_second_choice_waits_for_the_first_and_leaves_its_files(tmp_path: Path):
    work = tmp_path / "best.onnx.choose"
    tried = work / f"{TRIED}of-the-first" / "demo.int8.onnx"
    tried.parent.mkdir(parents=True)
    tried.touch()
    with building(work / "log.jsonl"), pytest.raises(WaitError, match=r"best\.onnx\.choose/log\.jsonl; waiting for it"):
        fcn_deploy.choose(
            "demo", tmp_path / "best.onnx", "synthetic:2:0:48x64", max_miou_drop=1, precisions=["fp32"],
            runners=["onnxruntime"], progress=RaisesOnWait(),
        )  # fmt: skip
    assert tried.exists()
    assert not (work / "log.jsonl").exists()
