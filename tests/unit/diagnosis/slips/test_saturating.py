"""A network whose activations hold no more than on right images: its labels there are kept, others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, save

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.saturating import SaturatingNetwork


def test_right_images_keep_their_labels_and_values_without_std_are_cut_off(demo_onnx: Path, tmp_path: Path):
    image = open_dataset("synthetic:1:3:64x96")[0].image
    saturating = SaturatingNetwork(demo_onnx, tmp_path)
    saturating.look_at([image])
    cut, own = saturating.open(), CutNetwork(demo_onnx, tmp_path)
    assert cut is not None
    assert cut is saturating.open()
    right = own.normalise(image)
    assert (cut.scores(right).argmax(0) == own.scores(right).argmax(0)).mean() > 0.97
    wide = (image - own.normalisation.mean).astype(np.float32)
    largest, before = (float(np.abs(network.scores(wide)).max()) for network in (cut, own))
    assert largest < before / 4


def test_a_file_that_cannot_be_rewritten_gives_none(tmp_path: Path):
    ports = [helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 4, 4, 3]) for name in ("image", "labels")]
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["labels"])], "g", ports[:1], ports[1:])
    save(helper.make_model(graph), tmp_path / "other.onnx")
    saturating = SaturatingNetwork(tmp_path / "other.onnx", tmp_path)
    saturating.look_at([np.zeros((4, 4, 3), np.uint8)])
    assert saturating.open() is None
