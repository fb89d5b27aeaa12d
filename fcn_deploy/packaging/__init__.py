"""Write model repositories for servers: `fcn-deploy package`."""
