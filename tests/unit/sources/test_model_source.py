"""A model given as a string, opened once for all who need it."""

from __future__ import annotations

import numpy as np
import torch

from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_reference
from fcn_deploy.onnx_export import export as export_module
from fcn_deploy.sources import model_source as artefact_module
from fcn_deploy.sources.model_source import Artefact
from tests.conftest import tiny_model


def test_the_network_is_read_once_for_card_export_and_runners(tmp_path, monkeypatch):
    model, card = tiny_model(classes=8)
    save_model(tmp_path / "m.safetensors", model, card)
    read, exported = [], []

    def reading(source, **options):
        read.append(options["model"])
        return load_reference(source, **options)

    monkeypatch.setattr(artefact_module, "load_reference", reading)
    monkeypatch.setattr(export_module, "export_model", lambda network, *_, **options: exported.append(network))
    with Artefact(str(tmp_path / "m.safetensors"), model="fcn8s") as artefact:
        assert artefact.card() == card
        assert artefact.file_for("onnxruntime").endswith("m.onnx")
        for _ in range(2):
            with artefact.open("pytorch", threads=torch.get_num_threads()) as runner:
                assert runner.infer({"image": np.zeros((1, 33, 47, 3), np.uint8)})["labels"].shape == (1, 33, 47)
        assert exported == [artefact.load()[0]]
    assert read == ["fcn8s"]
