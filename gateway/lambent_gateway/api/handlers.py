"""Which code answers which operation of Lambda's API: the one table. What is not in it is not implemented yet."""

from __future__ import annotations

from lambent_gateway.api import (
    aliases,
    concurrency,
    event_invoke_configs,
    function_settings,
    function_url_configs,
    functions,
    provisioned_concurrency,
    tags,
    versions,
)
from lambent_gateway.api.calls import Handler

HANDLERS: dict[str, Handler] = {
    "CreateAlias": aliases.create_alias,
    "CreateFunction": functions.create_function,
    "CreateFunctionUrlConfig": function_url_configs.create_function_url_config,
    "DeleteAlias": aliases.delete_alias,
    "DeleteFunction": functions.delete_function,
    "DeleteFunctionCodeSigningConfig": function_settings.delete_function_code_signing_config,
    "DeleteFunctionConcurrency": concurrency.delete_function_concurrency,
    "DeleteFunctionEventInvokeConfig": event_invoke_configs.delete_function_event_invoke_config,
    "DeleteFunctionUrlConfig": function_url_configs.delete_function_url_config,
    "DeleteProvisionedConcurrencyConfig": provisioned_concurrency.delete_provisioned_concurrency_config,
    "GetAccountSettings": concurrency.get_account_settings,
    "GetAlias": aliases.get_alias,
    "GetFunction": functions.get_function,
    "GetFunctionCodeSigningConfig": function_settings.get_function_code_signing_config,
    "GetFunctionConcurrency": concurrency.get_function_concurrency,
    "GetFunctionConfiguration": functions.get_function_configuration,
    "GetFunctionEventInvokeConfig": event_invoke_configs.get_function_event_invoke_config,
    "GetFunctionRecursionConfig": function_settings.get_function_recursion_config,
    "GetFunctionUrlConfig": function_url_configs.get_function_url_config,
    "GetProvisionedConcurrencyConfig": provisioned_concurrency.get_provisioned_concurrency_config,
    "GetRuntimeManagementConfig": function_settings.get_runtime_management_config,
    "ListAliases": aliases.list_aliases,
    "ListFunctionEventInvokeConfigs": event_invoke_configs.list_function_event_invoke_configs,
    "ListFunctionUrlConfigs": function_url_configs.list_function_url_configs,
    "ListFunctions": functions.list_functions,
    "ListProvisionedConcurrencyConfigs": provisioned_concurrency.list_provisioned_concurrency_configs,
    "ListTags": tags.list_tags,
    "ListVersionsByFunction": versions.list_versions_by_function,
    "PublishVersion": versions.publish_version,
    "PutFunctionConcurrency": concurrency.put_function_concurrency,
    "PutFunctionEventInvokeConfig": event_invoke_configs.put_function_event_invoke_config,
    "PutFunctionRecursionConfig": function_settings.put_function_recursion_config,
    "PutProvisionedConcurrencyConfig": provisioned_concurrency.put_provisioned_concurrency_config,
    "PutRuntimeManagementConfig": function_settings.put_runtime_management_config,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateAlias": aliases.update_alias,
    "UpdateFunctionCode": functions.update_function_code,
    "UpdateFunctionConfiguration": functions.update_function_configuration,
    "UpdateFunctionEventInvokeConfig": event_invoke_configs.update_function_event_invoke_config,
    "UpdateFunctionUrlConfig": function_url_configs.update_function_url_config,
}
INVOCATIONS = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})
"""Answered before a request gets here, by `invoke`; here they get no further than their names."""
