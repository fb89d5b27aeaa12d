"""Say which libraries and GPUs compute in which types, before a builder is asked."""

from __future__ import annotations

from collections.abc import Iterable

from fcn_deploy.audit.compute_capability import LEAST_SM, capability, lacking
from fcn_deploy.engine.builder.options import CURRENT, BuildOptions
from fcn_deploy.engine.flavors import Flavor
from fcn_deploy.errors import EngineError


def check_types(flavor: Flavor, options: BuildOptions, kinds: Iterable[str], own: str | None) -> None:
    """Refuse types that the library or a GPU lacks.

    Args:
        kinds: what the file computes in, as the audit names it: "FP8", "BF16", "INT8", ...
        own: the GPU at hand ("SM86"); None if there is none.

    Raises:
        EngineError: for the first that is lacking.
    """
    for kind in (kind for kind in LEAST_SM if kind in kinds):
        if flavor.traits.explicit_batch:
            raise EngineError(f"{flavor.title} has no {kind}; TensorRT 10 or later has, and so has TensorRT for RTX")
        for sm in lacking(kind, _targets(flavor, options, own)):
            raise EngineError(
                f"{sm} has no {kind}: GPUs have it from compute capability {capability(LEAST_SM[kind])} on; build for "
                "another (--sm), or take fp16 or int8+fp16"
            )


def lacking_portable(kinds: Iterable[str]) -> str:
    """Return the GPUs of a portable plan that do not have FP8, in words; "" if the file has none."""
    return "8.0 and 8.6" if "FP8" in kinds else ""


def _targets(flavor: Flavor, options: BuildOptions, own: str | None) -> list[str]:
    named = [own if sm == CURRENT else sm for sm in options.sm]
    if not flavor.traits.names_targets:
        named = [own]
    return [sm for sm in named if sm is not None]
