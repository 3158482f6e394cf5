"""
Entry point of the `lambent` command: runs it, and turns every failure into a message and an exit code.

Exit codes: 0 all right, 1 the function failed or a problem was found, 2 wrong usage, 3 the platform refused,
4 the platform can't be reached.
"""

from __future__ import annotations

import os
import sys

from lambent_cli import VERSION

COMPLETE_VARIABLE = "_LAMBENT_COMPLETE"
"""Set by the shell's completion script when it asks what may come next."""


def main() -> None:
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"lambent {VERSION}\n")
        return
    # Only now: importing the CLI library takes longer than all of the above.
    from lambent_cli.app import app
    from lambent_cli.failures import as_failure

    if COMPLETE_VARIABLE in os.environ:
        from typer.completion import get_completion_inspect_parameters

        # Makes the shells known; the library does it only for those who take its own two options for completion.
        get_completion_inspect_parameters()
    try:
        app(prog_name="lambent")
    except Exception as error:
        if os.environ.get("LAMBENT_DEBUG"):
            raise
        failure = as_failure(error)
        if failure is None:
            raise
        sys.stderr.write(failure.text())
        sys.exit(failure.exit_code)


if __name__ == "__main__":
    main()
