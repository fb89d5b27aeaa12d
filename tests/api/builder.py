"""The building half of a TensorRT module, as far as it answers: a network of one image input that any file gives."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.api.doubles import Double

PLAN = b"the plan"
# What the bindings raise where the library gives no object.
NOTHING = "pybind11::init(): factory function returned nullptr"
LAYER = "Name: fc6, LayerType: conv, Inputs: [ { Name: x, Datatype: Half } ], Metadata: [ONNX Layer: fc6]"


class Building:
    """What stands behind a double of the module.

    Attributes:
        errors: what the parser is to say against the file, as keyword arguments of `_error`.
        accepts: whether the parser takes a file against which it says nothing; inputs: how many it finds.
        refits: what an engine says of itself and of weights that it is given: whether it can be loaded, whether it is
            refittable, which weights are missing, whether it takes them.
        plan: what the build gives; cache_fits: whether timing caches do.
        starts, parses: whether the library gives a builder, and a parser.
        configs, networks: every configuration, and the flags of every network, that was asked for.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self.accepts = True
        self.inputs = 1
        self.plan: bytes | None = PLAN
        self.starts = self.parses = True
        self.cache_fits = True
        self.refits: dict[str, Any] = {"loads": True, "refittable": True, "missing": [], "takes": True}
        self.refitted: list[str] = []
        self.configs: list[Config] = []
        self.networks: list[int] = []
        self.double: Double | None = None
        self.logger: Any = None

    def enumerator(self, kind: str, name: str) -> Any:
        """A member of one of the double's enums."""
        assert self.double is not None
        found = self.double
        for part in kind.split("."):
            found = getattr(found, part)
        return getattr(found, name)

    def say(self, severity: str, text: str) -> None:
        self.logger.log(self.enumerator("ILogger.Severity", severity), text)

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        self.logger = logger
        if not self.starts:
            self.say("ERROR", "CUDA initialization failure with error: 100")
            raise TypeError(NOTHING)
        return SimpleNamespace(
            create_network=lambda flags=0: self._network(flags),
            create_builder_config=self._config,
            create_optimization_profile=Profile,
            build_serialized_network=self._build,
        )

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802
        if not self.parses:
            raise TypeError(NOTHING)
        return SimpleNamespace(
            parse_from_file=lambda path: self.accepts and not self.errors,
            num_errors=len(self.errors),
            get_error=lambda index: self._error(**self.errors[index]),
        )

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=self._load)

    def Refitter(self, engine: Any, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(
            get_missing_weights=lambda: self.refits["missing"], refit_cuda_engine=lambda: self.refits["takes"]
        )

    def OnnxParserRefitter(self, refitter: Any, logger: Any) -> Any:  # noqa: N802
        def refit(path: str) -> bool:
            self.refitted.append(path)
            return not self.errors

        return SimpleNamespace(
            refit_from_file=refit,
            num_errors=len(self.errors),
            get_error=lambda index: self._error(**self.errors[index]),
        )

    def _load(self, plan: bytes) -> Any:
        if not self.refits["loads"]:
            self.say("ERROR", "Error Code 1: Serialization")
            return None
        flags: set[str] = set()
        return SimpleNamespace(
            refittable=self.refits["refittable"],
            create_serialization_config=lambda: SimpleNamespace(
                set_flag=lambda flag: flags.add(flag.name) is None, flags=flags
            ),
            serialize_with_config=lambda config: plan + b" with other weights" + repr(sorted(config.flags)).encode(),
        )

    def _network(self, flags: int) -> Any:
        names = {"image": ("UINT8", (-1, -1, -1, 3)), "labels": ("UINT8", (-1, -1, -1))}
        tensors = [
            SimpleNamespace(name=name, dtype=self.enumerator("DataType", kind), shape=shape)
            for name, (kind, shape) in names.items()
        ]
        self.networks.append(flags)
        return SimpleNamespace(
            num_inputs=self.inputs,
            num_outputs=1,
            get_input=lambda index: tensors[index],
            get_output=lambda index: tensors[1 + index],
        )

    def _config(self) -> Config:
        self.configs.append(Config(self.cache_fits))
        return self.configs[-1]

    def _build(self, network: Any, config: Config) -> bytes | None:
        monitor = config.progress_monitor
        self.say("VERBOSE", LAYER)
        if monitor is not None:
            monitor.phase_start("Building", None, 2)
            going = monitor.step_complete("Building", 0) and monitor.step_complete("Building", 1)
            monitor.phase_finish("Building")
            if not going:
                return None
        if self.plan is None:
            self.say("ERROR", "Error Code 10: Could not find any implementation for node fc6")
        return self.plan

    def _error(self, desc: str, code: str = "INVALID_NODE", node: int = 7) -> Any:
        told = {"desc": desc, "code": self.enumerator("ErrorCode", code), "node": node}
        told |= {"node_name": "fc6", "node_operator": "Conv"}
        return SimpleNamespace(**{name: _constant(value) for name, value in told.items()})


class Config:
    """An IBuilderConfig that remembers. `flags` and `targets` as names."""

    def __init__(self, cache_fits: bool) -> None:
        self._cache_fits = cache_fits
        self.flags: set[str] = {"TF32"}
        self.limits: dict[str, int] = {}
        self.targets: dict[int, str] = {}
        self.profiles: list[Profile] = []
        self.progress_monitor: Any = None
        self.cache = b""

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.limits[pool.name] = size

    def set_compute_capability(self, capability: Any, index: int) -> bool:
        self.targets[index] = capability.name
        return True

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, blob: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: b"measured")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.cache = cache.serialize()
        return self._cache_fits

    def get_timing_cache(self) -> Any:
        return self.create_timing_cache(b"")


class Profile:
    """An IOptimizationProfile."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, ...]] = {}

    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        self.shapes[name] = (tuple(low), tuple(usual), tuple(high))


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value
