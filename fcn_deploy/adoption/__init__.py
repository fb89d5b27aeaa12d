"""Give ONNX files of other tools the contract and a model card, with a proof: `fcn-deploy adopt`."""
