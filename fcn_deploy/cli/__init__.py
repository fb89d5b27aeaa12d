"""Parse the command line, call one function of the package, print its result: one module per command."""
