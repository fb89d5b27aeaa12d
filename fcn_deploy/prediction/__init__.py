"""Label any number of images: `fcn-deploy predict`, and `fcn_deploy.load`."""
