"""Lambda's limits, one place. Each number cites where AWS states it ("Lambda quotas" unless another page is named)."""

from __future__ import annotations

REQUEST_BYTES_MAX = 6_291_556
"""Synchronous payload, bytes: 6 MiB + 100. The runtime's own 413 names the number ("Exceeded maximum allowed payload size")."""
ASYNC_REQUEST_BYTES_MAX = 1_048_576
"""Asynchronous payload, bytes (256 KB until October 2025)."""
CLIENT_CONTEXT_BYTES_MAX = 3_583
"""Base64 text of X-Amz-Client-Context, bytes ("Invoke")."""
LOG_TAIL_BYTES_MAX = 4_096
"""What LogType Tail answers, bytes ("Invoke")."""

MEMORY_MB_MIN, MEMORY_MB_MAX = 128, 10_240
TIMEOUT_SECONDS_MAX = 900
EPHEMERAL_STORAGE_MB_MIN, EPHEMERAL_STORAGE_MB_MAX = 512, 10_240
ENVIRONMENT_BYTES_MAX = 4_096
HANDLER_CHARACTERS_MAX = 128
DESCRIPTION_CHARACTERS_MAX = 256
LAYERS_MAX = 5
LAYER_NAME_CHARACTERS_MAX = 140
LICENSE_CHARACTERS_MAX = 512
COMPATIBLE_RUNTIMES_MAX = 15
"""The last three: "PublishLayerVersion"."""
ZIP_BYTES_MAX = 52_428_800
UNZIPPED_BYTES_MAX = 262_144_000
REQUEST_BODY_BYTES_MAX = 70_167_211
"""Any request to the API, bytes; what CreateFunction answers beyond it names the number."""
CODE_STORAGE_BYTES_MAX = 80_530_636_800
TAGS_MAX = 50
INIT_SECONDS_MAX = 10
PROCESSES_MAX = 1_024

ACCOUNT_CONCURRENCY = 1_000
UNRESERVED_CONCURRENCY_MIN = 100
IDLE_SECONDS_MIN, IDLE_SECONDS_MAX = 1, 86_400
"""How long a free environment may be kept: ours, for Lambda has no such setting. A day; who wants more means `replicas`."""
ENVIRONMENTS_PER_POD_MAX = 32
"""Ours too. What more of them have in common, a node and its loss, outweighs what another pod costs."""
REPLICAS_MAX = ACCOUNT_CONCURRENCY
"""Environments kept ready for one function: more could not run at once anyway."""
SCALE_OUT_ENVIRONMENTS = 1_000
"""Environments a function may add per `SCALE_OUT_SECONDS` ("Lambda scaling behavior")."""
SCALE_OUT_SECONDS = 10

RETRIES_MAX = 2
EVENT_AGE_SECONDS_MIN, EVENT_AGE_SECONDS_MAX = 60, 21_600
