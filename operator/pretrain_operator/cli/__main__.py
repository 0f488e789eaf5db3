"""`python -m pretrain_operator.cli`."""

import sys

from pretrain_operator.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
