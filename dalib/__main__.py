"""`python -m dalib`, and `torchrun -m dalib`."""

import sys

from dalib.cli import main

if __name__ == "__main__":
    sys.exit(main())
