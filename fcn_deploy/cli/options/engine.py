"""The options of `bench` and `predict` for running an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcn_deploy.cli.options.command import option
from fcn_deploy.cli.options.numbers import COPIES

if TYPE_CHECKING:
    from fcn_deploy.runners.engine_options import TrtOptions

ENGINE_OPTIONS = (
    option(
        "--contexts", type=COPIES, show_default="1", help="Inferences at once, each with its own activation memory."
    ),
    option("--slots", type=COPIES, show_default="3", help="Images under way in each context."),
    option(
        "--cuda-graphs/--no-cuda-graphs",
        default=None,
        show_default="where they hold",
        help="Start an inference as one CUDA graph.",
    ),
    option("--preallocate", is_flag=True, default=None, help="Hold memory for the largest size from the start."),
)
_NAMES = ("contexts", "slots", "cuda_graphs", "preallocate")


def engine_options(given: dict[str, Any]) -> TrtOptions | None:
    """Take the values of `ENGINE_OPTIONS` out of `given`; None if none was given."""
    from fcn_deploy.runners.engine_options import TrtOptions

    asked = {name: value for name in _NAMES if (value := given.pop(name)) is not None}
    return TrtOptions(**asked) if asked else None
