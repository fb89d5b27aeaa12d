"""Moved to `fcn_deploy.contract`."""

from ..contract import Contract as Contract
