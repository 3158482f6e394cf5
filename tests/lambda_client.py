"""An unmodified boto3 client of a gateway; it tries each call once, so that a test sees what came."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def lambda_client(endpoint: str, **config: Any) -> Any:
    """`config` is botocore's."""
    return boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 120, **config}),
    )
