"""Name the mistake of another program from the label maps that it wrote: `fcn-deploy diagnose` with --labels-from."""
