"""
The custom resource definitions of `lambent.dev/v1`, made from the model.

    X1  what the model can't read, the API server doesn't take: the same members, types and bounds
    X2  whatever a document without a member means by Lambda's defaults, the API server writes into it
"""

from lambent_core.custom_resources.definitions import custom_resource_definitions

__all__ = ["custom_resource_definitions"]
