"""Copy the ONNX file that was tried to where the user wants it."""

from __future__ import annotations

import shutil
from pathlib import Path

from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.weights import graph_files, save_graph
from fcn_deploy.system.files import atomic_path


def write_file(output: Path, path: Path) -> None:
    """Copy the file at `path`, with the weights that lie next to it if there are any.

    Raises:
        OutputError: it cannot be written.
    """
    graph = load_graph(path)
    with atomic_path(output) as temporary:
        if len(graph_files(path, graph)) == 1:
            # copyfile's errors name the file that is read, also where it is the target that cannot be written
            with path.open("rb") as given, temporary.open("wb") as written:
                shutil.copyfileobj(given, written)
        else:
            save_graph(graph, temporary)
