"""``python -m tidemark`` is the command `tidemark`."""

import sys

from tidemark.cli import main

sys.exit(main())
