"""Start the program: `fcn-deploy`, which is `python -m fcn_deploy`.

Ctrl-C, SIGTERM and SIGHUP have their exit codes from the first line on, while most of the program is still to be
imported, and do not reach Python while it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

from fcn_deploy.system.interrupt import (
    ENDING,
    end_later,
    end_on_insistence,
    heeded,
    ignore_signals,
    send_again_where_lost,
)
from fcn_deploy.system.streams import open_closed


def run() -> None:
    """Run the program; exit codes as `fcn_deploy.cli.main.main` has them."""
    for number in heeded():
        signal.signal(number, _stop)
    open_closed()  # before any other descriptor takes its place
    end_on_insistence(_stop)
    send_again_where_lost()
    from fcn_deploy.cli.main import main

    try:
        main()
    except KeyboardInterrupt:  # after the last line that catches it
        _stop(signal.SIGINT)
    except SystemExit as ended:
        for number in ENDING:
            if ended.code == 128 + number:
                end_later(number, _stop)  # Python waits for threads, whose work in a library nothing stops
        raise
    finally:
        ignore_signals()  # else Python would end by the signal itself, with no exit code


def _stop(number: int, frame: FrameType | None = None) -> None:
    """End at once: nothing is open yet, or nothing any more."""
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    run()
