"""Exchange the weights of an engine that was built for it (BuilderFlag.REFIT), in place of building: on a GPU.

The library matches weights by their names and does not check whether the graph is otherwise the one that was built: the
caller compares what the engine's sidecar says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn_deploy.engine.flavors import Flavor
from fcn_deploy.engine.logger import LogMessages, create, significant_lines
from fcn_deploy.engine.sidecar import Sidecar
from fcn_deploy.errors import EngineError

# What a key of the build may differ in; a card says how images are normalised, which is weights of the graph too.
WEIGHTS = ("model", "model card", "calibration", "rewritten by")
BUILD = "build it, without --refit-from"


def check_refit(path: Path, old: Sidecar, key: Mapping[str, Any]) -> None:
    """Raise EngineError if the engine was built without --refit, or differs from `key` in more than weights."""
    if not old.options.get("refit"):
        raise EngineError(f"{path} was built without --refit, so its weights cannot be exchanged; {BUILD}")
    for name in sorted({*old.key, *key} - {*WEIGHTS}):
        before, now = old.key.get(name), key.get(name)
        if before != now:
            raise EngineError(f"{path} differs in more than weights: {name} {before}, not {now}; {BUILD}")


def refit(flavor: Flavor, path: Path, onnx: Path, log: LogMessages) -> Any:
    """Return the plan of the engine at `path` with the weights of `onnx`, as the library's IHostMemory.

    Raises:
        EngineError: the library has nothing for it or cannot load the engine, or the weights do not fit.
    """
    trt = flavor.module
    if not hasattr(trt, "OnnxParserRefitter"):
        raise EngineError(f"{flavor.title} exchanges no weights by an ONNX file; {BUILD}")
    runtime = create(trt, trt.Runtime)
    engine = None if runtime is None else runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise EngineError(f"{path}: {flavor.title} cannot load it: {log.reason('it gives no reason')}; {BUILD}")
    if not engine.refittable:
        raise EngineError(f"{path} is not refittable according to {flavor.title}; {BUILD}")
    refitter = create(trt, trt.Refitter, engine)
    parser = None if refitter is None else create(trt, trt.OnnxParserRefitter, refitter)
    if parser is None or not parser.refit_from_file(str(onnx)):
        said = [line for index in range(parser.num_errors if parser else 0) for line in _lines(parser, index)]
        raise EngineError(f"{onnx.name} does not fit {path.name}: {' '.join(said) or log.reason('no reason is given')}")
    missing = refitter.get_missing_weights()
    if missing:
        raise EngineError(f"{onnx.name} lacks {len(missing)} weights of {path.name}, first {missing[0]}; {BUILD}")
    if not refitter.refit_cuda_engine():
        raise EngineError(f"{path.name} does not take the weights of {onnx.name}: {log.reason('no reason is given')}")
    config = engine.create_serialization_config()
    if hasattr(trt.SerializationFlag, "INCLUDE_REFIT"):  # without it such a plan could not be refitted once more
        config.set_flag(trt.SerializationFlag.INCLUDE_REFIT)
    return engine.serialize_with_config(config)


def _lines(parser: Any, index: int) -> list[str]:
    return significant_lines(parser.get_error(index).desc())
