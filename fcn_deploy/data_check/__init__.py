"""Check labelled images before they are used: `fcn-deploy data check`."""
