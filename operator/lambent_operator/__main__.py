"""`python -m lambent_operator`: all settings are LAMBENT_* variables, see `settings`."""

from __future__ import annotations

import asyncio
import os
import sys

from lambent_kube.config import ClusterAccess, NoCluster, cluster_access
from lambent_operator import logs
from lambent_operator.compose import Operator
from lambent_operator.settings import Settings, WrongSettings, read_settings


def main() -> int:
    try:
        settings = read_settings(os.environ)
        access = cluster_access()
    except (WrongSettings, NoCluster) as error:
        print(f"lambent-operator: {error}", file=sys.stderr)  # noqa: T201
        return 2
    logs.configure(settings.log_level)
    asyncio.run(_run(settings, access))
    return 0


async def _run(settings: Settings, access: ClusterAccess) -> None:
    await Operator(settings, access).run(asyncio.Event())


if __name__ == "__main__":
    sys.exit(main())
