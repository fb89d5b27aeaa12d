"""Start the program: `fcn-deploy`, which is `python -m fcn_deploy`.

Ctrl-C and SIGTERM have their exit codes from the first line on, while most of the program is still to be imported, and
do not reach Python while it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


def run() -> None:
    """Run the program; exit codes as `fcn_deploy.cli.main.main` has them."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell's background jobs have it
            signal.signal(number, _stop)
    from fcn_deploy.cli.main import main
    from fcn_deploy.system.interrupt import ignore_signals

    try:
        main()
    except KeyboardInterrupt:  # after the last line that catches it
        _stop(signal.SIGINT)
    finally:
        ignore_signals()  # else Python would end by the signal itself, with no exit code


def _stop(number: int, frame: FrameType | None = None) -> None:
    """End at once: nothing is open yet, or nothing any more."""
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    run()
