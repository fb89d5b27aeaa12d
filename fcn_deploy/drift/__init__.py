"""Judge without labels whether images still fit the calibration of an INT8 file: `fcn-deploy watch`."""
