"""Runs the tests of one folder in the environment that its client is installed in, and says how many there were in the
words that scripts/test.sh counts.

    python run.py FOLDER
"""

import sys
import unittest
from pathlib import Path

here = Path(__file__).parent
folder = here / sys.argv[1]
sys.path[:0] = [str(here), str(folder)]

tests = unittest.defaultTestLoader.discover(str(folder))
result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(tests)
failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
print(f"{result.testsRun - failed - len(result.skipped)} passed")
if failed:
    print(f"{failed} failed")
sys.exit(1 if failed or not result.testsRun else 0)
