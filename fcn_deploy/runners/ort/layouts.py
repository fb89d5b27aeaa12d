"""Choose how ONNX Runtime's CUDA provider lays activations out and fuses convolutions with their bias.

Full-width FCN-8s on an H100, milliseconds at 360x480, 720x960 and 1024x2048, measured by hand with onnxruntime-gpu
1.31.1 (docs/design/runners.md): FP16 default 1.80, 4.17, 11.6; NHWC 1.25, 3.11, 8.52; NHWC and fused 1.00, 2.39, 6.89.
FP32 (TF32) default 2.62, 6.25, 16.0; NHWC 2.34, 5.28, 13.0; NHWC and fused 2.05, 7.05, 11.0. So the rule is NHWC, in
FP16 with fused bias. cuDNN's heuristic search was a little faster at some sizes, and failed at the largest. For a shape
that comes again the others are timed too, in the order of how likely they are; one that fails is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from fcn_deploy.runners.ort.options import GraphFacts

Texts = Mapping[str, str]
PLAIN: Texts = {}
NHWC: Texts = {"prefer_nhwc": "1"}
FUSED: Texts = {**NHWC, "fuse_conv_bias": "1"}
HEURISTIC: Texts = {"cudnn_conv_algo_search": "HEURISTIC"}


def layouts_for(facts: GraphFacts | None, asked: Texts) -> tuple[Texts, ...]:
    """Return options worth measuring for one shape, the first of which holds for all others; never an empty tuple.

    Args:
        facts: of the file; None if it has no image, which is said where its ports are read.
        asked: options given by hand, which stand in each.
    """
    if facts is None:
        return (asked,)
    first, second = (FUSED, NHWC) if facts.half else (NHWC, FUSED)
    chosen: tuple[Texts, ...] = (first, second, {**first, **HEURISTIC}, PLAIN)
    if facts.quantised:  # nothing was measured
        chosen = (PLAIN,)
    found = [{**layout, **asked} for layout in chosen]
    return tuple(layout for index, layout in enumerate(found) if layout not in found[:index])


def layout_text(layout: Texts) -> tuple[str, ...]:
    """Return a note on the options of the provider; none where it has its own."""
    return (f"provider options: {named(layout)}",) if layout else ()


def named(layout: Texts) -> str:
    """Return the options in a few words."""
    return ", ".join(f"{name}={text}" for name, text in layout.items()) or "the provider's own options"
