"""Decode and write images in processes, past the lock of one Python process."""
