"""Find and decode the images that a user names."""
