"""What our sources name of TensorRT, PyCUDA and cuda-bindings, read from their syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import fcn_deploy

PACKAGE = Path(fcn_deploy.__file__).parent
# Every file that holds an object of one of these libraries.
FILES = tuple(
    sorted(
        [
            *(PACKAGE / "engine" / "builder" / f"{name}.py" for name in ("compile", "options", "parse", "refit")),
            PACKAGE / "engine" / "logger.py",
            *PACKAGE.glob("runners/trt/*.py"),
            *PACKAGE.glob("runners/cuda/*.py"),
            PACKAGE / "doctor" / "probe_model.py",
        ]
    )
)


def module_names(path: Path) -> set[str]:
    """Dotted names that a file takes from a TensorRT module: {"BuilderFlag.TF32", "Builder"}.

    The module is called `trt` or is somebody's `.module`; a name that is given to one of its enums is followed.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found = _below_module(node.value, {})
            if found is not None:
                aliases[node.targets[0].id] = found
    names = {name for node in ast.walk(tree) if (name := _below_module(node, aliases)) is not None}
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def _below_module(node: ast.AST, aliases: dict[str, str]) -> str | None:
    """ "BuilderFlag.TF32" for trt.BuilderFlag.TF32; None for anything else."""
    if not isinstance(node, ast.Attribute) or node.attr.startswith("_"):
        return None
    inner = node.value
    if isinstance(inner, ast.Attribute):
        outer = _below_module(inner, aliases)
        if outer is None:
            return node.attr if inner.attr == "module" else None
        return f"{outer}.{node.attr}"
    if isinstance(inner, ast.Name):
        if inner.id in ("trt", "_module"):
            return node.attr
        if inner.id in aliases:
            return f"{aliases[inner.id]}.{node.attr}"
    return None


def attributes(path: Path) -> set[str]:
    """Every attribute that a file names, also as text (`getattr(context, "set_input_shape")`)."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | set(filter(str.isidentifier, texts))
