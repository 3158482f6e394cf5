"""A gateway on Kubernetes: `python -m lambent_gateway`. Its settings are variables that Lambent's chart sets."""

from __future__ import annotations

import os
import sys

from lambent_core.errors import LambdaError
from lambent_gateway import cluster, cluster_settings
from lambent_gateway.holdings import CannotStart


def main() -> int:
    try:
        cluster.run(cluster_settings.from_environment(os.environ))
    except CannotStart as error:
        sys.stderr.write(f"lambent-gateway: {error}\n")
        return 1
    except LambdaError as error:
        sys.stderr.write(f"lambent-gateway: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
