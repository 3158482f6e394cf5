"""
The Python runtime: waits for a function, initialises it, and runs its invocations one after another.

Started by the agent with a socket as descriptor `LAMBENT_BOOTSTRAP_FD`, before there is any code: everything that a cold start needs is
imported while it waits. What it does for a handler is what AWS's runtime interface client does; the conformance suite runs on both.
"""

import os
import sys

if __name__ == "__main__":
    # User code may have modules of any name: only this one package of ours stays importable.
    own = sys.path.pop(0)
    sys.path.append(own)
    from lambent_runtime.main import main

    sys.path.remove(own)
    main(int(os.environ.pop("LAMBENT_BOOTSTRAP_FD")))
