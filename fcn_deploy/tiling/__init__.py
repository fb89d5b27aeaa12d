"""Label images of any size tile by tile, with exactly the labels of the whole image."""
