"""Which code answers which operation of Lambda's API: the one table. What is not in it is not implemented yet."""

from __future__ import annotations

from lambent_gateway.api import functions
from lambent_gateway.api.calls import Handler

HANDLERS: dict[str, Handler] = {
    "CreateFunction": functions.create_function,
    "DeleteFunction": functions.delete_function,
    "GetFunction": functions.get_function,
    "GetFunctionConfiguration": functions.get_function_configuration,
    "ListFunctions": functions.list_functions,
    "UpdateFunctionCode": functions.update_function_code,
    "UpdateFunctionConfiguration": functions.update_function_configuration,
}
INVOCATIONS = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})
"""Answered before a request gets here, by `invoke`; here they get no further than their names."""
