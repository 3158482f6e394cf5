"""
Loads the service model that botocore carries, without importing botocore: its code would cost more memory than the gateway.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

from lambent_core.shapes import ServiceModel, decode

_FOLDER = "data/lambda/2015-03-31"


def load_service_model() -> ServiceModel:
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("botocore, which carries Lambda's service model, is not installed: pip install botocore")
    folder = Path(spec.submodule_search_locations[0], _FOLDER)
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return decode(gzip.decompress(packed.read_bytes()))
    return decode((folder / "service-2.json").read_bytes())
