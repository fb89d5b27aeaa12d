"""Score one model on one labelled data set: `fcn-deploy evaluate`."""
