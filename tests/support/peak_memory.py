"""The peak memory of `fcn-deploy`, in a process of its own: `python -m tests.support.peak_memory ARGUMENTS`."""

from __future__ import annotations

import subprocess
import sys

from fcn_deploy.cli.main import cli
from fcn_deploy.system.process import peak_bytes
from tests.support import ROOT


def peak_of(*arguments: object) -> int:
    """Return the peak resident bytes of `fcn-deploy` with these arguments, in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return int(done.stdout.split("peak ")[1])


if __name__ == "__main__":
    cli(sys.argv[1:], standalone_mode=False)
    print("peak", peak_bytes())
