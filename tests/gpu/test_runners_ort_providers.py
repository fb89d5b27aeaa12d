"""ONNX Runtime's TensorRT providers on a real GPU: profiles, the cache, and no other provider in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from fcn_deploy.contract import Contract
from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.ort.plugin import find_plugin
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import Profile
from tests.conftest import tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU that PyTorch can use"),
]
SMALL, LARGE = Profile((1, 33, 31), (1, 64, 96), (3, 128, 128)), Profile((1, 200, 200), (1, 256, 256), (1, 300, 300))
NAMES = {"tensorrt": "TensorrtExecutionProvider", "nvtensorrtrtx": "NvTensorRTRTXExecutionProvider"}


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contract]:
    model, card = tiny_model()
    path = tmp_path_factory.mktemp("gpu") / "tiny.onnx"
    export_model(model, card, path, outputs=("labels", "logits"))
    return path, Contract(model, card)


def _open(provider: str, path: Path, asked: ProviderOptions):  # type: ignore[no-untyped-def]
    """Skips where the provider is not there, or does not start for want of a library."""
    built_in = NAMES[provider] in onnxruntime.get_available_providers()
    if not built_in and not (provider == "nvtensorrtrtx" and find_plugin() is not None):
        pytest.skip(f"no {NAMES[provider]} here")
    try:
        return open_runner(f"onnxruntime:{provider}", str(path), outputs=("labels", "logits"), provider=asked)
    except RunnerError as error:
        if "cannot open shared object file" in str(error):
            pytest.skip(str(error))
        raise


def _check(runner, reference: Contract, shape: tuple[int, int, int]) -> None:  # type: ignore[no-untyped-def]
    image = random_image(shape, seed=sum(shape))
    results = runner.infer({"image": image})
    with torch.inference_mode():
        expected = reference.logits(torch.from_numpy(image)).numpy()
    # TF32 multiplies keep ten bits: single logits move by about 1e-3 of the largest.
    np.testing.assert_allclose(results["logits"], expected, rtol=0, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize("provider", NAMES)
def test_shapes_inside_the_profile_give_the_references_logits_and_others_are_refused(onnx_file, tmp_path, provider):
    path, reference = onnx_file
    asked = ProviderOptions(profiles=(SMALL,), cache=tmp_path / "cache")
    for _ in range(2):  # the second session starts from the cache
        with _open(provider, path, asked) as runner:
            for shape in ((1, 33, 47), (3, 65, 31), (2, 128, 96)):
                _check(runner, reference, shape)
            with pytest.raises(ShapeError, match="lies in none of the profiles"):
                runner.infer({"image": random_image((4, 64, 64), 0)})
    assert [made for made in (tmp_path / "cache").rglob("*") if made.is_file()]


def test_each_of_two_profiles_of_rtx_is_used(onnx_file):
    path, reference = onnx_file
    with _open("nvtensorrtrtx", path, ProviderOptions(profiles=(SMALL, LARGE))) as runner:
        for shape in ((1, 33, 47), (1, 250, 201), (2, 64, 64), (1, 300, 300)):
            _check(runner, reference, shape)
