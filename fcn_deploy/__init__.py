"""fcn-deploy: take a fully convolutional segmentation network out of PyTorch and prove it unharmed."""

from .version import __version__

__all__ = ["__version__"]
