"""Parse one command's options, call one function of the package, print its result: one module per command."""
