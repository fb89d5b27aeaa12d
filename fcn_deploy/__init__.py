"""fcn-deploy: take a fully convolutional segmentation network out of PyTorch and prove it unharmed.

The functions of this module are those of the command line, one per command. Importing it loads nothing heavy: each
function, with what it needs, is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fcn_deploy.version import __version__

if TYPE_CHECKING:  # what type checkers and editors see; must match `_MODULES`
    from fcn_deploy.adoption.adopt import adopt
    from fcn_deploy.benchmark.bench import bench
    from fcn_deploy.choice.choose import choose
    from fcn_deploy.data.options import DataOptions
    from fcn_deploy.data_check.check import check_data
    from fcn_deploy.diagnosis.diagnose import diagnose
    from fcn_deploy.diagnosis.slips.explain import explain_labels
    from fcn_deploy.drift.watch import watch
    from fcn_deploy.engine.builder.options import BuildOptions
    from fcn_deploy.engine_build.build_engine import build_engine
    from fcn_deploy.evaluation.evaluate import evaluate
    from fcn_deploy.inspection.inspect import inspect
    from fcn_deploy.onnx_export.export import export
    from fcn_deploy.prediction.cluster.resources import Cluster
    from fcn_deploy.prediction.model import load
    from fcn_deploy.prediction.predict import predict
    from fcn_deploy.quantization.quantize import quantize
    from fcn_deploy.quantization.search.options import SearchOptions
    from fcn_deploy.runners.engine_options import TrtOptions
    from fcn_deploy.training.loop import train
    from fcn_deploy.vocabulary import Profile

_MODULES = {
    "BuildOptions": "fcn_deploy.engine.builder.options",
    "Cluster": "fcn_deploy.prediction.cluster.resources",
    "DataOptions": "fcn_deploy.data.options",
    "Profile": "fcn_deploy.vocabulary",
    "SearchOptions": "fcn_deploy.quantization.search.options",
    "TrtOptions": "fcn_deploy.runners.engine_options",
    "adopt": "fcn_deploy.adoption.adopt",
    "bench": "fcn_deploy.benchmark.bench",
    "build_engine": "fcn_deploy.engine_build.build_engine",
    "check_data": "fcn_deploy.data_check.check",
    "choose": "fcn_deploy.choice.choose",
    "diagnose": "fcn_deploy.diagnosis.diagnose",
    "evaluate": "fcn_deploy.evaluation.evaluate",
    "explain_labels": "fcn_deploy.diagnosis.slips.explain",
    "export": "fcn_deploy.onnx_export.export",
    "inspect": "fcn_deploy.inspection.inspect",
    "load": "fcn_deploy.prediction.model",
    "predict": "fcn_deploy.prediction.predict",
    "quantize": "fcn_deploy.quantization.quantize",
    "train": "fcn_deploy.training.loop",
    "watch": "fcn_deploy.drift.watch",
}
__all__ = [
    "BuildOptions", "Cluster", "DataOptions", "Profile", "SearchOptions", "TrtOptions", "__version__", "adopt",
    "bench", "build_engine", "check_data", "choose", "diagnose", "evaluate", "explain_labels", "export", "inspect",
    "load", "predict", "quantize", "train", "watch",
]  # fmt: skip


if not TYPE_CHECKING:  # a type checker would take every misspelt name for an attribute

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
