"""`python -m fcn_deploy` is `fcn-deploy`."""

from fcn_deploy.cli.main import main

if __name__ == "__main__":
    main()
