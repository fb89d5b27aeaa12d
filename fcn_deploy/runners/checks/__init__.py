"""Check what a runner gives: labels of the image's size, scores that are numbers."""
