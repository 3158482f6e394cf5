"""The Python runtime's modules. A package, so that no user's module can be mistaken for one of them."""
