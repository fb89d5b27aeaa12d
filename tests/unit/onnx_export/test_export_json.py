"""What `export --json` writes."""

from __future__ import annotations

import json
from pathlib import Path

from fcn_deploy.onnx_export.export import ExportReport
from fcn_deploy.onnx_export.proof import ShapeProof
from tests.conftest import tiny_model


def test_a_report_has_the_proof_and_the_card_as_the_file_has_it():
    card = tiny_model()[1]
    tick = ShapeProof((2, 33, 47), float("inf"), 3, 0, passed=True)
    plain = ExportReport(Path("a/b.onnx"), None, (tick,), 1e-4, 7, 40, 2.5, card).to_plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "path": "a/b.onnx",
        "data_path": None,
        "ticks": [
            {
                "shape": [2, 33, 47],
                "relative_difference": None,  # infinite
                "labels_differing": 3,
                "labels_wrong": 0,
                "passed": True,
            }
        ],
        "tolerance": 1e-4,
        "nodes": 7,
        "weights_bytes": 40,
        "seconds": 2.5,
        "card": json.loads(card.to_json()),
    }
