"""Find the fastest size, precision and runner of a model within limits of accuracy and time: `fcn-deploy choose`."""
