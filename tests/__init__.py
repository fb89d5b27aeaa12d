"""The tests: unit/ mirrors the package, integration/ has a file or more per command, support/ what they share."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # one core per worker and its children; libraries read this as they load
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
