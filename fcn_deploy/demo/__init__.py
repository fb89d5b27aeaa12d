"""Hold the weights of the demo network."""
