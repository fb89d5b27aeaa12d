"""Read what onnxruntime prints: it says there alone why a provider does not load."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

from fcn_deploy.system.process import redirected


def printed_reason(printed: str) -> str:
    """Return the loader's message in what onnxruntime printed ("libcublasLt.so.13: cannot open shared object file")."""
    for pattern in (r"with error: (.+)", r"Failed to create \w+\. (.+)", r"EP Error (.+)"):
        match = re.search(pattern, printed)
        if match:
            words: str = re.sub(r"\x1b\[[0-9;]*m", "", match.group(1))
            return words.strip()[:300]
    return ""


@contextlib.contextmanager
def captured_output() -> Iterator[Callable[[], str]]:
    """Keep what C++ and Python code prints inside the block; the value yielded reads it.

    onnxruntime gives the reason why a provider does not load only on the process's standard error.
    """
    python = io.StringIO()
    with tempfile.TemporaryFile() as sink, contextlib.ExitStack() as stack:
        sys.stdout.flush()
        sys.stderr.flush()
        stack.enter_context(contextlib.redirect_stdout(python))
        stack.enter_context(contextlib.redirect_stderr(python))
        for descriptor in (1, 2):
            stack.enter_context(redirected(sink, descriptor))

        def printed() -> str:
            sink.seek(0)
            return python.getvalue() + sink.read().decode(errors="replace")

        yield printed
