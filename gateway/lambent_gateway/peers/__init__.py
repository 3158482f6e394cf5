"""Gateways among themselves: who is ready, and invocations handed to the gateway that owns their function."""
