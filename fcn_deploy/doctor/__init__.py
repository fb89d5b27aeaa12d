"""Report what this machine and this installation can run: `fcn-deploy doctor`."""
