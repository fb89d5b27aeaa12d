"""Find the fastest size, precision and runner of a model within budgets of accuracy and time: `fcn-deploy choose`."""
