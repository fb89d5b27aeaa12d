"""Describe a model file: inputs, outputs, weights, how it was built: `fcn-deploy inspect`."""
