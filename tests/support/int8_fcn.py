"""The small FCN in 8 bits, in FP16 or in both."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.graph.float_layers import choose_float_layers
from fcn_deploy.graph.load import load_graph
from fcn_deploy.quantization.calibration.measure import calibrate
from fcn_deploy.quantization.rewrites.half import to_half
from fcn_deploy.quantization.rewrites.half_type import nodes_kept_in_fp32
from fcn_deploy.quantization.rewrites.qdq import insert_qdq, quantised_tensors
from tests.support.small_fcn import images


@cache
def int8(path: Path, target: str = "tensorrt", half: bool = False) -> Path:
    model = load_graph(path)
    kept = choose_float_layers(model, first=target == "tensorrt")
    names = quantised_tensors(model, target, kept)
    largest = calibrate(path, ({"image": image} for image in images(2)), histograms=[], extremes=names).largest
    insert_qdq(model, target, kept, {name: (-largest[name], largest[name]) for name in names})
    return save(model, path, f"{target}.{'half' if half else 'wide'}", half)


def save(model: ir.Model, path: Path, stem: str, half: bool) -> Path:
    if half:
        to_half(model, nodes_kept_in_fp32(model))
    ir.save(model, path.with_name(f"{stem}.onnx"))
    return path.with_name(f"{stem}.onnx")
