"""Choose how ONNX Runtime's CUDA provider lays activations out and fuses convolutions with their bias.

Full-width FCN-8s on an H100, milliseconds at 360x480, 720x960 and 1024x2048, measured by hand with onnxruntime-gpu
1.31.1 (docs/design/runners.md): FP16 default 1.80, 4.17, 11.6; NHWC 1.25, 3.11, 8.52; NHWC and fused 1.00, 2.39, 6.89.
FP32 (TF32) default 2.62, 6.25, 16.0; NHWC 2.34, 5.28, 13.0; NHWC and fused 2.05, 7.05, 11.0. With
NHWC, cuDNN's heuristic search was as fast as the exhaustive one and its first run took 0.1 s and not 0.4 to 5; at the
largest size it failed. So images of any shape get NHWC and the heuristic search; where a run fails, the exhaustive one.
For a shape that comes again several are timed; one that fails is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fcn_deploy.runners.ort.options import GraphFacts

Texts = Mapping[str, str]
PLAIN: Texts = {}
NHWC: Texts = {"prefer_nhwc": "1"}
FUSED: Texts = {**NHWC, "fuse_conv_bias": "1"}
HEURISTIC: Texts = {"cudnn_conv_algo_search": "HEURISTIC"}


@dataclass(frozen=True)
class Layouts:
    """Options to open sessions with, never none.

    Attributes:
        general: of the session for any shape; the next is for where a run fails with the one before.
        fixed: worth measuring for one shape, those first that are likely to be fast and are opened quickly.
    """

    general: tuple[Texts, ...] = (PLAIN,)
    fixed: tuple[Texts, ...] = (PLAIN,)


def layouts_for(facts: GraphFacts | None, asked: Texts) -> Layouts:
    """Return the options for a file.

    Args:
        facts: of the file; None if it has no image, which is reported where its ports are read.
        asked: options given by hand, which are part of each.
    """
    if facts is None or facts.quantised:  # of quantised files nothing was measured
        return Layouts((asked,), (asked,))
    quick, quick_fused = {**NHWC, **HEURISTIC}, {**FUSED, **HEURISTIC}
    fixed = (quick_fused, FUSED, quick, PLAIN) if facts.half else (quick_fused, quick, FUSED, NHWC)
    return Layouts(_with(asked, (quick, NHWC, PLAIN)), _with(asked, fixed))


def _with(asked: Texts, layouts: tuple[Texts, ...]) -> tuple[Texts, ...]:
    found = [{**layout, **asked} for layout in layouts]
    return tuple(layout for index, layout in enumerate(found) if layout not in found[:index])


def layout_text(layout: Texts) -> tuple[str, ...]:
    """Return a note on the options of the provider; none where it has its own."""
    return (f"provider options: {named(layout)}",) if layout else ()


def named(layout: Texts) -> str:
    """Return the options in a few words."""
    return ", ".join(f"{name}={text}" for name, text in layout.items()) or "the provider's own options"
