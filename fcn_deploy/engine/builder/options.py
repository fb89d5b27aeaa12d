"""Define the options of a build, and check for those that the library would drop silently."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fcn_deploy.engine.flavors import RTX, Flavor
from fcn_deploy.engine.gpus import own_sm
from fcn_deploy.errors import EngineError
from fcn_deploy.system.files import StrPath

CURRENT = "CURRENT"


@dataclass(frozen=True)
class BuildOptions:
    """Set what the builder does; None, False and () leave the library's default.

    Attributes:
        sm: architectures ("SM86"); () is the library's portable plan, or the GPU at hand.
        workspace_bytes: device memory that a kernel may take for itself; too little fails the build.
        timing_cache: file of measured kernel times, read if it is there and written after the build.
        optimization_level: 0 (fastest build) to 5.
        tf32: FP32 products with 10 bits of mantissa on tensor cores.
        refit, strip: a plan whose weights can be exchanged; a plan without weights.
        version_compatible, hardware_compatible: a plan for later releases; for Ampere and later.
    """

    sm: tuple[str, ...] = ()
    workspace_bytes: int | None = None
    timing_cache: StrPath | None = None
    optimization_level: int | None = None
    tf32: bool | None = None
    refit: bool = False
    strip: bool = False
    version_compatible: bool = False
    hardware_compatible: bool = False

    def __post_init__(self) -> None:
        if self.optimization_level is not None and not 0 <= self.optimization_level <= 5:
            raise EngineError(f"optimization level {self.optimization_level} does not exist; expected 0 to 5")
        if self.workspace_bytes is not None and self.workspace_bytes < 1:
            raise EngineError(f"the workspace is {self.workspace_bytes} bytes; expected 1 or more, or no option")

    def asked(self) -> dict[str, Any]:
        """Return what was not left at its default, as plain data."""
        left = asdict(BuildOptions())
        asked = {name: value for name, value in asdict(self).items() if value != left[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()}


def parse_sm(text: str) -> tuple[str, ...]:
    """Parse "86, sm_89" as ("SM86", "SM89"); "current" is the GPU at hand.

    Raises:
        EngineError: a word that is no architecture, or none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    found = [re.fullmatch(r"(?:sm_?)?(\d+)|(current)", word.lower()) for word in words]
    if not words or not all(found):
        raise EngineError(f"--sm {text} names no architectures; write numbers with commas between, as in 86,89,120")
    return tuple(dict.fromkeys(f"SM{match[1]}" if match[1] else CURRENT for match in found if match))


def named_gpus(text: str | None) -> tuple[str, ...]:
    """Parse "86,current" as ("SM86", "SM89"), the GPU at hand by its own number; () for None.

    Raises:
        EngineError: as of `parse_sm`, or there is no GPU at hand.
    """
    named = () if text is None else parse_sm(text)
    own = own_sm()
    if CURRENT in named and own is None:
        raise EngineError("--sm current: this machine shows no GPU; give its compute capability, as in --sm 89")
    return tuple(str(own) if name == CURRENT else name for name in named)


def check_options(flavor: Flavor, options: BuildOptions, has_gpu: bool) -> None:
    """Raise EngineError for the first option that this library, or this machine, cannot serve."""
    for name in options.asked():
        reason = flavor.refusal(name, has_gpu)
        if reason is not None:
            raise EngineError(f"{flavor.title} has no --{name.replace('_', '-')}: {reason}")
    if options.sm:
        _check_sm(flavor, options.sm, has_gpu)
    if not flavor.traits.names_targets and not has_gpu:
        raise EngineError(
            f"{flavor.title} builds on the GPU that it builds for, and this machine shows none; TensorRT for RTX "
            "builds without one (--flavor rtx)"
        )


def _check_sm(flavor: Flavor, wanted: tuple[str, ...], has_gpu: bool) -> None:
    known = known_sm(flavor)
    for sm in wanted:
        if sm == CURRENT and not has_gpu:
            raise EngineError(f"--sm current: this machine shows no GPU; name one of {_listed(known)}")
        if sm != CURRENT and sm not in known:
            raise EngineError(f"{flavor.title} cannot build for {sm}; it builds for {_listed(known)}")


def known_sm(flavor: Flavor) -> tuple[str, ...]:
    """Return architectures that can be named, ("SM75", ...)."""
    if flavor.name != RTX:
        return ()
    return tuple(name for name in flavor.module.ComputeCapability.__members__ if name.startswith("SM"))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(name.removeprefix("SM") for name in names)


def configure(flavor: Flavor, builder: Any, options: BuildOptions, fp16: bool, int8: bool) -> Any:
    """Return a builder configuration of these options; the library is asked to list its layers in detail.

    Args:
        fp16, int8: what the graph's types ask for; said by flags where the library has no typed networks (8.6).
    """
    trt = flavor.module
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.tf32 is False:
        config.clear_flag(trt.BuilderFlag.TF32)
    by_flag = flavor.traits.explicit_batch
    wanted: tuple[tuple[bool | None, Callable[[], Any]], ...] = (  # not every release has each flag
        (options.tf32, lambda: trt.BuilderFlag.TF32),
        (options.refit, lambda: trt.BuilderFlag.REFIT),
        (options.strip, lambda: trt.BuilderFlag.STRIP_PLAN),
        (options.version_compatible, lambda: trt.BuilderFlag.VERSION_COMPATIBLE),
        (fp16 and by_flag, lambda: trt.BuilderFlag.FP16),
        (int8 and by_flag, lambda: trt.BuilderFlag.INT8),
    )
    for flag in (flag for asked, flag in wanted if asked):
        config.set_flag(flag())
    if flavor.traits.names_targets and options.sm:  # without any: one portable plan
        config.num_compute_capabilities = len(options.sm)
        for index, name in enumerate(options.sm):
            config.set_compute_capability(trt.ComputeCapability.__members__[name], index)
    return config
