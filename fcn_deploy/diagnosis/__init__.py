"""Find the stage and the layer where a deployment first differs: `fcn-deploy diagnose`."""
