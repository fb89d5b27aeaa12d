"""Run `fcn-deploy`: find the command, print results and errors."""
