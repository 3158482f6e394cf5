"""
Follows the census of one gateway after the other's example of a watch: the whole, then changes, again after a break, for ever.

It also tells a gateway what can't be had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import aiohttp
import msgspec
import orjson
import structlog

from lambent_core.census import Alive, Changes, Line, Snapshot
from lambent_kube.json_lines import json_lines
from lambent_operator.census import Census
from lambent_operator.resources import GatewayPod
from lambent_operator.troubles import Trouble

log = structlog.get_logger(__name__)

SILENCE_SECONDS_MAX = 25.0
"""The gateway says ALIVE every 10 s: two of them missing are a broken connection."""
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 5.0
REQUEST_SECONDS_MAX = 10.0


class GatewayUnreachable(Exception):
    """A failure could not be told; whoever tried tries again."""


class CensusClient:
    """Owns the connections to gateways. Runs a task for each gateway's pod that has an address."""

    def __init__(
        self, census: Census, *, port: int, token_file: Path, clock: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._census = census
        self._port = port
        self._token_file = token_file
        self._clock = clock
        self._chance = chance
        self._following: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._session: aiohttp.ClientSession | None = None

    def put_gateway(self, pod: GatewayPod) -> None:
        """A gateway's pod appeared or changed."""
        self._census.put_gateway(pod, now=self._clock())
        address = self._following.get(pod.name, ("", None))[0]
        if address == pod.ip:
            return
        self._stop(pod.name)
        if pod.ip:
            self._following[pod.name] = (pod.ip, asyncio.create_task(self._follow(pod.name, self._url(pod.ip))))

    def remove_gateway(self, name: str) -> None:
        self._stop(name)
        self._census.remove_gateway(name, now=self._clock())

    async def report_failure(self, gateway: str, agent: str, trouble: Trouble) -> bool:
        """Whether the gateway waited for the agent still: else it may have it by now. Raises `GatewayUnreachable`."""
        pod = self._census.gateway_pod(gateway)
        if pod is None or not pod.ip:
            raise GatewayUnreachable(f"gateway {gateway} has no pod with an address")
        try:
            async with self._session_now().post(
                f"{self._url(pod.ip)}/lambent/v1/agents/{agent}/failure",
                data=orjson.dumps({"reason": trouble.reason, "message": trouble.note}),
                headers=self._headers() | {"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS_MAX),
            ) as response:
                if response.status >= 300 and response.status != 404:
                    words = (await response.text())[:200]
                    raise GatewayUnreachable(f"gateway {gateway} answered {response.status}: {words}")
                return response.status != 404
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GatewayUnreachable(f"gateway {gateway}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        for name in list(self._following):
            self._stop(name)
        if self._session is not None:
            await self._session.close()

    async def _follow(self, gateway: str, url: str) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                async with self._session_now().get(
                    f"{url}/lambent/v1/agents",
                    headers=self._headers(),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_SECONDS_MAX),
                ) as response:
                    response.raise_for_status()
                    async for line in json_lines(response.content.iter_any()):
                        self._hear(gateway, msgspec.convert(line, Line))
                        pause = PAUSE_SECONDS_MIN
                    log.info("census ended", gateway=gateway)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("census broken", gateway=gateway, error=str(error) or type(error).__name__)
            except (msgspec.ValidationError, orjson.JSONDecodeError) as error:
                log.error("census not understood", gateway=gateway, error=str(error))
            finally:
                self._census.disconnected(gateway, now=self._clock())
            await asyncio.sleep(pause * (1 + self._chance() / 2))
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _hear(self, gateway: str, line: Line) -> None:
        match line:
            case Snapshot():
                log.info("census connected", gateway=gateway, agents=len(line.agents))
                self._census.connected(gateway, line, now=self._clock())
            case Changes():
                self._census.changed(gateway, line, now=self._clock())
            case Alive():
                pass
            case _:
                assert_never(line)

    def _stop(self, gateway: str) -> None:
        if gateway in self._following:
            self._following.pop(gateway)[1].cancel()

    def _url(self, ip: str) -> str:
        return f"http://[{ip}]:{self._port}" if ":" in ip else f"http://{ip}:{self._port}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}

    def _session_now(self) -> aiohttp.ClientSession:
        if self._session is None:  # only on a running loop
            self._session = aiohttp.ClientSession()
        return self._session
