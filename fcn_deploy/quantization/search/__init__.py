"""Find the few layers to keep in float so that the accuracy stays within a budget."""
