"""Say in a line what OpenVINO reports in several, with the names of its source files between them."""

from __future__ import annotations

import re

from fcn_deploy.vocabulary import Shape, shape_text

# A node whose sizes cannot be worked out for the image at hand: its operator, its name, and the check that failed.
_SIZES = re.compile(r"\[\w+\] (\w+) node with name '([^']*)' Check '([^']*)' failed at \S*shape_inference")
_SMALLER = "le(kernel"  # the check that a kernel is not larger than what it slides over


def reason_of(error: RuntimeError) -> str:
    """Return OpenVINO's message without the lines that name its source files, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    details = [line for line in lines if line and not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return " ".join(details or lines)[:300]


def misfit(error: RuntimeError, image: Shape) -> str:
    """Return that an image batch of (N, H, W) does not fit a layer of the network; "" of an error of another kind."""
    found = _SIZES.search(" ".join(str(error).split()))
    if found is None:
        return ""
    operator, name, check = found.groups()
    size = "is too small for" if _SMALLER in check else "does not fit"
    return f"an image of {shape_text(image[1:])} {size} the layer {name} ({operator}); give a larger one"
