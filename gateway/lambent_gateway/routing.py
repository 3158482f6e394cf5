"""
Which version an invocation runs: by function and qualifier, aliases resolved beforehand wherever they name one version only.

    R1  an invocation without a weighted alias costs one look-up in `direct`
    R2  an alias follows its version: with the version's route it comes, changes and goes
"""

from __future__ import annotations

from collections.abc import Callable

from lambent_core.errors import LambdaError, ResourceNotFound
from lambent_core.function import LATEST, EventInvokeConfig
from lambent_core.invocation import Invocation
from lambent_core.versions import FunctionAlias
from lambent_gateway.routes import Route, route_key

Qualified = tuple[str, str | None]
"""A function's name and a qualifier as callers give it."""


class Routing:
    """The one owner of routes. `chance` is from 0 to below 1, new at each call."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.by_key: dict[str, Route] = {}
        """Every version that can be invoked."""
        self.direct: dict[Qualified, Route] = {}
        self._unavailable: dict[str, LambdaError] = {}
        """Versions that exist but can't be invoked, by key, with the error to answer."""
        self._aliases: dict[str, dict[str, FunctionAlias]] = {}
        """By function, then by name."""

    def find(self, invocation: Invocation) -> Route:
        """Raises the `LambdaError` to answer where there is none."""
        name, qualifier = invocation.function_name, invocation.qualifier
        return self.direct.get((name, qualifier)) or self._find(name, qualifier, invocation)

    def event_invoke_config(self, name: str, qualifier: str | None) -> EventInvokeConfig | None:
        """What holds for events of the function, version or alias, ready to run or not; None if there is none."""
        alias = self._aliases.get(name, {}).get(qualifier or LATEST)
        key = route_key(name, alias.version if alias else qualifier or LATEST)
        route = self.by_key.get(key)
        if route is None and key not in self._unavailable:
            return None
        if alias is not None:
            return alias.event_invoke_config or EventInvokeConfig()
        return EventInvokeConfig() if route is None else route.function.spec.event_invoke_config

    def put(self, route: Route) -> Route | None:
        """The route that it replaces."""
        earlier = self.by_key.get(route.key)
        self.by_key[route.key] = route
        self._unavailable.pop(route.key, None)
        self._point(route.name, route.version, route)
        return earlier

    def remove(self, name: str, version: str, error: LambdaError | None = None) -> Route | None:
        """The route that there was. With `error` the version is still there, and that is what its callers get."""
        key = route_key(name, version)
        if error is None:
            self._unavailable.pop(key, None)
        else:
            self._unavailable[key] = error
        self._point(name, version, None)
        return self.by_key.pop(key, None)

    def put_alias(self, alias: FunctionAlias) -> None:
        self._aliases.setdefault(alias.function_name, {})[alias.name] = alias
        route = self.by_key.get(route_key(alias.function_name, alias.version))
        self._set(alias.function_name, alias.name, None if alias.additional_version_weights else route)

    def remove_alias(self, name: str, alias: str) -> None:
        aliases = self._aliases.get(name, {})
        aliases.pop(alias, None)
        if not aliases:
            self._aliases.pop(name, None)
        self._set(name, alias, None)

    def _find(self, name: str, qualifier: str | None, invocation: Invocation) -> Route:
        version = qualifier or LATEST
        alias = self._aliases.get(name, {}).get(version)
        if alias is not None:
            version = alias.choose(self._chance)
        key = route_key(name, version)
        route = self.by_key.get(key)
        if route is not None:
            return route
        missing = ResourceNotFound(f"Function not found: {invocation.caller.function_arn(name, version)}")
        raise self._unavailable.get(key, missing)

    def _point(self, name: str, version: str, route: Route | None) -> None:
        """Makes every qualifier of the version lead to `route`."""
        self._set(name, version, route)
        if version == LATEST:
            self._set(name, None, route)
        for alias in self._aliases.get(name, {}).values():
            if alias.version == version and not alias.additional_version_weights:
                self._set(name, alias.name, route)

    def _set(self, name: str, qualifier: str | None, route: Route | None) -> None:
        if route is None:
            self.direct.pop((name, qualifier), None)
        else:
            self.direct[name, qualifier] = route
