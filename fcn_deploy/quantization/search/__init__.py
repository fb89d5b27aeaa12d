"""Find the few layers to keep in float so that the mIoU stays within a budget."""
