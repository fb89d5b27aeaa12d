"""Score one file, or several next to each other, on one labelled data set: `fcn-deploy evaluate`."""
