"""Label images in several processes on one machine or more, through Ray."""
