"""Define the reference PyTorch networks and read checkpoints into them."""
