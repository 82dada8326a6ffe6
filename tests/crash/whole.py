"""Runs a drill that passes or fails as a whole, in a folder of its own that a failure leaves behind.

Not for those that count what passed: crash, powercut and model tell how far they came.
"""

import shutil
import tempfile

from daemon import Failed


def run(name, prove):
    """prove(folder) raises Failed; what comes back is the exit code."""
    folder = tempfile.mkdtemp(prefix=f"larder-{name}-")
    try:
        prove(folder)
    except Failed as error:
        print(f"FAILED: {error}\n  the folder is kept: {folder}\n0 passed, 1 failed")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        print("stopped by hand: nothing is proved")
        return 130
    shutil.rmtree(folder)
    print("1 passed, 0 failed")
    return 0
