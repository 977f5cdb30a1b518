"""`python -m t0native` is the command `t0native`."""

import sys

from t0native.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
