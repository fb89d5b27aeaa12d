"""Train the reference networks: `fcn-deploy train`."""
