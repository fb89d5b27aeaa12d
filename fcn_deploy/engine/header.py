"""Read the first bytes of a plan, which name the library and its version if there is no sidecar.

The version's four bytes are where NVIDIA's own answer puts them (github.com/NVIDIA/TensorRT/issues/3073); the tags and
the length are not documented and were read from plans of TensorRT for RTX 1.7 ("vtrt") and TensorRT 8.6 to 10 ("ftrt").
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.engine.flavors import RTX, TENSORRT
from fcn_deploy.model_file import RTX_TAG, TENSORRT_TAG

FLAVORS = {RTX_TAG: RTX, TENSORRT_TAG: TENSORRT}
HEADER_BYTES = 28
_LENGTH, _VERSION = slice(16, 24), slice(24, 28)


@dataclass(frozen=True)
class PlanHeader:
    """What a plan says of itself.

    Attributes:
        flavor: "tensorrt" or "tensorrt_rtx"; version: "1.7.1.116".
        plan_bytes: of the whole file; None where the library does not write it there.
    """

    flavor: str
    version: str
    plan_bytes: int | None


def read_header(path: Path) -> PlanHeader | None:
    """Return the header of a file; None if it does not begin like a plan."""
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    flavor = FLAVORS.get(head[:4])
    if flavor is None or len(head) < HEADER_BYTES:
        return None
    length = int.from_bytes(head[_LENGTH], "little") if flavor == RTX else None
    return PlanHeader(flavor, ".".join(map(str, head[_VERSION])), length)
