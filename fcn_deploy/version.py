"""Hold the version of the package; importing this loads nothing else."""

__version__ = "0.2.0"
