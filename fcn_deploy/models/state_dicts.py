"""Find the state dict in a checkpoint: out of the wrappers of training scripts, without prefixes, averaged or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.conventions import recognise
from fcn_deploy.models.inert_pickle import Stub
from fcn_deploy.models.weights_file import Weights, code_error, printable
from fcn_deploy.system.progress import SILENT, Progress

# Where training scripts keep the weights, and their moving average.
WRAPPERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "weights", "module",
)  # fmt: skip
AVERAGED = (
    "ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "model_ema_state_dict", "params_ema",
    "averaged_model", "swa_model", "teacher",
)  # fmt: skip
DEPTH = 4  # of wrappers in each other, and of the parts of a prefix
LEAST_SHARE = 0.25  # of the tensors that must be under a prefix that counts


@dataclass(frozen=True)
class StateDict:
    """Tensors of a file by name.

    Attributes:
        key: where in the file, "state_dict.model" for the prefix `model.` within the wrapper `state_dict`; "" for all.
        tensors: floating point as float32.
        prefix: taken off each name.
        left: names of what is next to them without the prefix.
    """

    key: str
    tensors: dict[str, Tensor]
    prefix: str = ""
    left: tuple[str, ...] = ()

    @property
    def averaged(self) -> bool:
        """Whether these are a moving average of the weights in training."""
        return "n_averaged" in self.left or any(part in AVERAGED for part in self.key.split("."))

    def __str__(self) -> str:
        return (self.key or "the file itself") + (" (averaged)" if self.averaged else "")


def state_dict_of(
    weights: Weights, path: Path, wanted: str | None = None, progress: Progress = SILENT
) -> dict[str, Tensor]:
    """Return the tensors of one state dict of a file, floating point as float32.

    Args:
        wanted: "model" for the weights as trained, "ema" for their moving average, or the key path of either; None
            takes the first as trained, else the averaged ones.
        progress: reports what was chosen, and what was taken off or left out.

    Raises:
        CheckpointError: no tensors, none under `wanted`, or a tensor that is not dense.
    """
    if not isinstance(weights.content, Mapping):
        raise CheckpointError(f"{path} holds a {type(weights.content).__name__}, not a state dict of named tensors")
    found = [part for state in _state_dicts(weights.content, path) for part in _without_prefix(state)]
    found = [state for state in found if recognise(state.tensors) is not None] or found
    if not found and wanted in (None, "model", "ema"):
        raise _no_tensors(weights, path)
    chosen = _chosen(found, weights, path, wanted)
    _report(chosen, found, path, wanted, progress)
    return {key: value.detach().float() if value.is_floating_point() else value.detach()
            for key, value in chosen.tensors.items()}  # fmt: skip


def said_architecture(weights: Weights) -> str:
    """Return the name that a training script stored for its network (`arch`, `args.model`); "" if it stored none."""
    content = weights.content if isinstance(weights.content, Mapping) else {}
    for place in (weights.metadata, content, content.get("args"), content.get("hyper_parameters")):
        for key in ("arch", "model"):
            if isinstance(place, Mapping) and isinstance(place.get(key), str):
                return str(place[key])
    return ""


def _state_dicts(content: Mapping[Any, Any], path: Path, key: str = "", depth: int = DEPTH) -> Iterator[StateDict]:
    """Yield what lies in the wrappers of `content`; without any, its own tensors."""
    inner = [name for name in (*WRAPPERS, *AVERAGED) if depth and isinstance(content.get(name), dict)]
    states = [
        state
        for name in inner
        for state in _state_dicts(content[name], path, f"{key}.{name}" if key else name, depth - 1)
    ]
    yield from states
    tensors = {} if states else _tensors(content, path)
    if tensors:
        yield StateDict(key, tensors)


def _tensors(content: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    for key, value in content.items():
        if isinstance(value, Stub) and value.path.startswith("torch._utils._rebuild_"):
            kind = value.path.removeprefix("torch._utils._rebuild_").partition("_")[0]
            raise CheckpointError(
                f"{path}: {printable(str(key))} is a {kind} tensor; save dense tensors with their values"
            )
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _without_prefix(state: StateDict) -> list[StateDict]:
    """Return the parts of `state` whose names are those of a known convention behind one prefix each.

    That is `state` itself if its names are, or if no prefix makes them so. The shortest prefix wins.
    """
    if recognise(state.tensors) is not None:
        return [state]
    for depth in range(1, DEPTH + 1):
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.tensors.items():
            parts = name.split(".", depth)
            if len(parts) > depth:
                groups.setdefault(name.removesuffix(parts[-1]), {})[parts[-1]] = tensor
        parts_found = [
            StateDict(
                f"{state.key}.{prefix}".strip("."),
                inner,
                prefix,
                tuple(set(state.tensors) - {prefix + n for n in inner}),
            )
            for prefix, inner in groups.items()
            if len(inner) >= LEAST_SHARE * len(state.tensors) and _is_known(inner, state.tensors)
        ]
        if parts_found:
            return parts_found
    return [state]


def _is_known(inner: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> bool:
    """Tell whether names are a known network's; a classifier's only if they are all there is: others contain one."""
    convention = recognise(inner)
    return convention is not None and (convention.family is not None or len(inner) >= len(whole) - 1)


def _chosen(found: Sequence[StateDict], weights: Weights, path: Path, wanted: str | None) -> StateDict:
    trained = [state for state in found if not state.averaged]
    averaged = [state for state in found if state.averaged]
    pool = {None: trained or averaged, "model": trained, "ema": averaged}.get(wanted)
    if pool is None:
        pool = [state for state in found if f"{state.key}.".startswith(f"{wanted}.")] or _at(
            weights.content, str(wanted), path
        )
    if not pool:
        kinds = {"model": "weights that are not averaged", "ema": "averaged weights"}
        names = printable(", ".join(map(str, found))) or "none"
        raise CheckpointError(f"{path} holds no {kinds.get(str(wanted), f'weights under {wanted}')}; it has {names}")
    return pool[0]


def _at(content: Mapping[Any, Any], wanted: str, path: Path) -> list[StateDict]:
    """Return what lies at a key path: names of mappings, then perhaps a prefix of the names of tensors."""
    parts, used = wanted.split("."), 0
    while used < len(parts) and isinstance(content.get(parts[used]), dict):
        content, used = content[parts[used]], used + 1
    prefix = "".join(f"{part}." for part in parts[used:])
    tensors = {
        name.removeprefix(prefix): tensor for name, tensor in _tensors(content, path).items() if name.startswith(prefix)
    }
    return _without_prefix(StateDict(wanted, tensors, prefix)) if tensors else []


def _report(chosen: StateDict, found: Sequence[StateDict], path: Path, wanted: str | None, progress: Progress) -> None:
    others = [state for state in found if state is not chosen]
    if wanted is None and others:
        progress.say(
            f"{path} holds {printable(' and '.join(map(str, found)))}: read {chosen}; "
            f"`fcn-deploy export --weights {others[0].key}` reads the other"
        )
    elif wanted is None and chosen.averaged:
        progress.say(f"{path}: read the averaged weights, the only ones")
    if chosen.prefix:
        progress.say(f"{path}: took {printable(chosen.prefix)} off the names of its tensors{_left_out(chosen)}")
    halves = {value.dtype for value in chosen.tensors.values() if value.is_floating_point()} - {torch.float32}
    if halves:
        kinds = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in halves))
        progress.say(f"{path} holds {kinds} weights: read as float32")


def _left_out(chosen: StateDict) -> str:
    left = sorted(chosen.left)
    if not left:
        return ""
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return f", and left out {printable(', '.join(left[:3]))}{more}"


def _no_tensors(weights: Weights, path: Path) -> CheckpointError:
    if weights.code:
        return code_error(path, weights.code[0])
    names = printable(", ".join(str(key) for key in list(weights.content)[:5])) or "nothing"
    return CheckpointError(
        f"{path} holds no tensors (found {names}); looked into {', '.join((*WRAPPERS, *AVERAGED))} too; "
        "`fcn-deploy export --weights KEY` names another place"
    )
