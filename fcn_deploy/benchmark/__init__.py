"""Compare the speed and accuracy of a model's runners side by side: `fcn-deploy bench`."""
