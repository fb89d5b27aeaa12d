"""Turn a model into an engine in one step: `fcn-deploy build-engine`."""
