"""
The function: one model for the AWS API, the manifest, the custom resource and the store.

A function is a document in Kubernetes' shape (`apiVersion`, `kind`, `metadata`, `spec`, `status`). The members of `spec`
carry the names of Lambda's API with a small first letter, so that each door needs a change of case and nothing else.
"""

from __future__ import annotations

from typing import Literal

import msgspec

API_VERSION = "lambent.dev/v1"
LATEST = "$LATEST"
"""The qualifier of a function's moving state."""


class _Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Code(_Model, frozen=True):
    """Where the package comes from. In the store only `sha256` and `size` are set; the others are how a manifest brings it."""

    inline: str | dict[str, str] | None = None
    """Source text of the handler's module, or files by path."""
    path: str | None = None
    """A folder or ZIP, relative to the manifest."""
    sha256: str | None = None
    """The package in the blob store: SHA-256, hex."""
    size: int | None = None
    """Bytes of the ZIP."""


class Environment(_Model, frozen=True):
    variables: dict[str, str] = {}
    """Environment variables; together at most 4,096 bytes."""


class EphemeralStorage(_Model, frozen=True):
    size: int = 512
    """Megabytes of /tmp."""


class TracingConfig(_Model, frozen=True):
    mode: Literal["PassThrough", "Active"] = "PassThrough"
    """Whether requests without a trace header are sampled."""


class LoggingConfig(_Model, frozen=True):
    log_format: Literal["Text", "JSON"] = "Text"
    application_log_level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None = None
    """Least level of the function's own lines that is kept. With `logFormat: JSON` only."""
    system_log_level: Literal["DEBUG", "INFO", "WARN"] | None = None
    """Least level of the platform's lines that is kept. With `logFormat: JSON` only."""
    log_group: str | None = None
    """What the function is told its log group is. `/aws/lambda/NAME` where nothing is said."""


class DeadLetterConfig(_Model, frozen=True):
    target_arn: str | None = None


class SnapStart(_Model, frozen=True):
    apply_on: Literal["None", "PublishedVersions"] = "None"


class VpcConfig(_Model, frozen=True):
    subnet_ids: list[str] = []
    security_group_ids: list[str] = []
    ipv6_allowed_for_dual_stack: bool = False


class FileSystemConfig(_Model, frozen=True):
    arn: str
    local_mount_path: str


class ImageConfig(_Model, frozen=True):
    entry_point: list[str] = []
    command: list[str] = []
    working_directory: str | None = None


class Cors(_Model, frozen=True):
    allow_credentials: bool | None = None
    allow_headers: list[str] | None = None
    allow_methods: list[str] | None = None
    allow_origins: list[str] | None = None
    expose_headers: list[str] | None = None
    max_age: int | None = None
    """Seconds for which a browser may keep the answer to a preflight request."""


class FunctionUrl(_Model, frozen=True):
    auth_type: Literal["NONE", "AWS_IAM"] = "NONE"
    """Who may call it."""
    invoke_mode: Literal["BUFFERED", "RESPONSE_STREAM"] = "BUFFERED"
    """Whether the response is sent whole or as it is written."""
    cors: Cors | None = None


class EventInvokeConfig(_Model, frozen=True):
    maximum_retry_attempts: int = 2
    """How often an asynchronous event that failed is tried again."""
    maximum_event_age_in_seconds: int = 21_600
    """How long an asynchronous event waits before it is given up."""


class FunctionSpec(_Model, frozen=True):
    """What the user wants. Defaults are Lambda's; limits are checked by `validation`, not here."""

    function_name: str | None = None
    """Lambda's name where it is no DNS label; else `metadata.name` is the name."""
    package_type: Literal["Zip", "Image"] = "Zip"
    """Images are not implemented yet."""
    code: Code = Code()
    runtime: str | None = None
    """Lambda's name of the runtime, e.g. `python3.12`."""
    handler: str | None = None
    """What is called: for Python `file.function`, e.g. `app.handler` for the function `handler` in `app.py`."""
    role: str | None = None
    """ARN of an execution role. Any is taken; nothing is read from it."""
    description: str = ""
    """Words for people."""
    timeout: int = 3
    """Seconds."""
    memory_size: int = 128
    """Megabytes."""
    architectures: list[str] = msgspec.field(default_factory=lambda: ["x86_64"])
    environment: Environment | None = None
    ephemeral_storage: EphemeralStorage = EphemeralStorage()
    layers: list[str] = []
    """ARNs of layer versions."""
    tracing_config: TracingConfig = TracingConfig()
    logging_config: LoggingConfig = LoggingConfig()
    snap_start: SnapStart = SnapStart()
    dead_letter_config: DeadLetterConfig | None = None
    kms_key_arn: str | None = None
    vpc_config: VpcConfig | None = None
    file_system_configs: list[FileSystemConfig] = []
    image_config: ImageConfig | None = None
    tags: dict[str, str] = {}
    reserved_concurrent_executions: int | None = None
    """Invocations at once that are kept for this function, and the most it gets. 0 stops it."""
    url: FunctionUrl | None = None
    event_invoke_config: EventInvokeConfig = EventInvokeConfig()
    recursive_loop: Literal["Allow", "Terminate"] = "Terminate"
    """Whether a function may go on calling itself through queues and topics."""
    update_runtime_on: Literal["Auto", "FunctionUpdate"] = "Auto"
    """When the runtime is brought up to date."""


class FunctionStatus(_Model, frozen=True):
    """What became of it. Written by the platform alone."""

    state: Literal["Pending", "Active", "Inactive", "Failed", "Deleting"] = "Pending"
    state_reason: str | None = "The function is being created."
    state_reason_code: str | None = "Creating"
    last_update_status: Literal["Successful", "Failed", "InProgress"] | None = None
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None
    revision_id: str = ""
    """UUID, new with each change; what AWS calls RevisionId."""
    last_modified: str = ""
    """ISO 8601 with milliseconds and +0000, as AWS writes it."""
    code_revision: int = 0
    """Grows with each change of code or configuration that needs new execution environments."""
    last_version: int = 0
    """The highest number that a published version was ever given."""
    url_id: str | None = None
    url_created: str | None = None
    url_last_modified: str | None = None
    event_invoke_config_modified: float | None = None
    """Unix time of the last PutFunctionEventInvokeConfig; None while the function has none of its own."""


class Metadata(_Model, frozen=True):
    name: str
    """A DNS label. The function's name too, where `spec.functionName` says no other."""
    namespace: str = "default"
    """On Kubernetes the namespace; elsewhere `default`."""
    uid: str = ""
    creation_timestamp: str = ""
    resource_version: str = ""
    """Written by the store; a `put` with an old one is a conflict."""
    labels: dict[str, str] = {}
    """Yours to select by."""
    annotations: dict[str, str] = {}


class Function(_Model, frozen=True, kw_only=True):
    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["Function"] = "Function"
    metadata: Metadata
    spec: FunctionSpec
    status: FunctionStatus = FunctionStatus()

    @property
    def name(self) -> str:
        """The name by which Lambda's API knows it."""
        return self.spec.function_name or self.metadata.name
