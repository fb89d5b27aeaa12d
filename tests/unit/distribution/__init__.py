"""What the project ships around the package: metadata, pins, images, workflows."""
