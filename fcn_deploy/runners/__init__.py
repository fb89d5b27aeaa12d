"""Run a model behind one contract: uint8 images in, label maps out."""
