"""Open labelled images in any layout as one kind of data set."""
