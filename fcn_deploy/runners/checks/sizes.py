"""Recognise in a library's words that an image does not fit a layer of a network."""

from __future__ import annotations

import re

from fcn_deploy.vocabulary import Shape, shape_text

# Of OpenVINO: a node whose sizes cannot be worked out for the image at hand: its operator, its name, the failed check.
_SIZES = re.compile(r"\[\w+\] (\w+) node with name '([^']*)' Check '([^']*)' failed at \S*shape_inference")
_SMALLER = "le(kernel"  # the check that a kernel is not larger than what it slides over


def misfit(error: RuntimeError, image: Shape) -> str:
    """Return that an image batch of (N, H, W) does not fit a layer of the network; "" of an error of another kind."""
    found = _SIZES.search(" ".join(str(error).split()))
    if found is None:
        return ""
    operator, name, check = found.groups()
    size = "is too small for" if _SMALLER in check else "does not fit"
    return f"an image of {shape_text(image[1:])} {size} the layer {name} ({operator}); give a larger one"
