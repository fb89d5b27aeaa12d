"""The small network that probes run."""

from __future__ import annotations

from fcn_deploy.doctor.probe_model import IMAGE, LABELS, write_tiny


def test_the_small_network_gives_the_labels_that_it_is_known_by(tmp_path):
    import numpy as np

    from fcn_deploy.runners.registry import open_runner

    with open_runner("onnxruntime", str(write_tiny(tmp_path / "tiny.onnx"))) as runner:
        assert runner.infer({"image": np.array(IMAGE, np.uint8)})["labels"].tolist() == LABELS
