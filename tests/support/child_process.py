"""Wait for a command that a test started."""

from __future__ import annotations

import subprocess

PATIENCE_S = 300  # for a machine that others use too; the commands take a few seconds by themselves


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return standard output and standard error of a process that ends; kill it if it does not."""
    try:
        return process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
