"""
What an agent is told when it becomes an execution environment of a function version.
"""

from __future__ import annotations

from lambent_core.environment_variables import Surroundings, environment_variables
from lambent_gateway.drivers.execution import ExecutionEnvironment
from lambent_gateway.environments.link_bodies import FunctionFacts, Package, RuntimeCommand, Specialization


def specialization(environment: ExecutionEnvironment, *, sized: bool, platform: Surroundings) -> Specialization:
    """`sized`: a cgroup holds the memory limit; else the agent is asked to."""
    route = environment.route
    function, spec = route.function, route.function.spec
    variables = environment_variables(
        function,
        version=route.version,
        log_group=route.log_group,
        log_stream=environment.log_stream,
        image=route.runtime.environment,
        platform=platform,
    )
    return Specialization(
        revision=route.revision,
        function=FunctionFacts(route.name, route.version, route.arn, route.memory_mb, route.timeout_ms),
        handler=spec.handler or "",
        runtime=RuntimeCommand(route.runtime.protocol, route.runtime.command, route.runtime.working_directory or ""),
        environment=variables,
        packages=[
            *([Package(spec.code.sha256, spec.code.size or 0, "task")] if spec.code.sha256 else []),
            *(Package(layer.sha256, layer.size, "opt") for layer in function.status.layers),
        ],
        memory_limit_bytes=0 if sized else route.memory_mb * 1024 * 1024,
    )
