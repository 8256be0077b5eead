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



class Counting(unittest.TextTestResult):
    """Counts what went well, which unittest does not."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


tests = unittest.defaultTestLoader.discover(str(folder))
result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout, resultclass=Counting).run(tests)
failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
print(f"{result.passed} passed")
if failed:
    print(f"{failed} failed")
sys.exit(1 if failed or not result.passed else 0)
