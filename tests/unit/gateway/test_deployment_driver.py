"""The driver that settles functions, on stores in memory."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import msgspec
import pytest

from lambent_core import deployment, generations, layers, limits, reservations
from lambent_core.caller import Caller
from lambent_core.documents import D, Document, StoreUnusable
from lambent_core.function import (
    NOT_TEXT,
    Code,
    FoundImage,
    Function,
    FunctionLayer,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    ImageConfig,
    Metadata,
)
from lambent_core.images import ImageProblem, absent_image, denied_image, unsupported_image
from lambent_core.package import Package
from lambent_gateway.drivers.code_looks import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.stores.base import Key
from lambent_gateway.stores.memory import MemoryDocuments, MemoryPackages
from tests.simulation import virtual_time

DIGEST = "ab" * 32
SPEC = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256=DIGEST, size=3))
CODE = "def handler(event, context):\n    return event\n"
INLINE = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(inline=CODE))


class StoppedClock:
    def time(self) -> float:
        return 1_795_486_086.25


class SometimesUnusable(MemoryDocuments):
    """Refuses its next writes, as many as it is told, and loses the answers to so many that it has done."""

    refusals = 0
    refused = 0
    answers_lost = 0

    async def put(self, document: D, expected_resource_version: str) -> D:
        stored = await super().put(document, expected_resource_version)
        if self.answers_lost:
            self.answers_lost -= 1
            raise StoreUnusable("The Kubernetes API can't be used now")
        return stored

    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        if self.refused < self.refusals:
            self.refused += 1
            raise StoreUnusable("The Kubernetes API can't be used now")


class SometimesAway(MemoryPackages):
    """Answers nothing while it is away."""

    away = False

    async def size(self, sha256: str) -> int | None:
        if self.away:
            raise StoreUnusable("The package store can't be used now")
        return await super().size(sha256)


class Registry:
    """Has one image, which changes."""

    def __init__(self) -> None:
        self.image: FoundImage | ImageProblem = FoundImage(digest="sha256:" + "1" * 64, command=["/run"])
        self.asked = 0

    async def find(self, uri: str, architecture: str) -> FoundImage:
        self.asked += 1
        if isinstance(self.image, ImageProblem):
            raise self.image
        return msgspec.structs.replace(self.image, architecture=architecture)


class Rig:
    def __init__(self) -> None:
        self.registry = Registry()
        self.documents = SometimesUnusable()
        self.packages = SometimesAway()
        self.driver = self.gateway("revision")

    def gateway(self, name: str) -> Deployments:
        """The driver of one of several gateways."""
        numbers = count()
        return Deployments(
            self.documents,
            self.packages,
            lambda: f"{name}-{next(numbers)}",
            clock=StoppedClock(),
            caller=Caller(),
            url_of=lambda function: "http://url" if function.spec.url else None,
            images=self.registry,
        )

    async def add(self, name: str = "fn", spec: FunctionSpec = SPEC) -> Function:
        function = deployment.created(name, spec, uid="u", revision_id="r", now=0.0)
        return await self.documents.put(function, "")

    async def apply(self, name: str = "fn", **members: Any) -> Function:
        """As somebody else than the gateway writes on Kubernetes; settled when it returns."""
        before = self.documents.get(Function, name)
        if before is None:
            before = Function(metadata=Metadata(name=name, uid=f"u-{name}"), spec=INLINE)
        metadata = msgspec.structs.replace(before.metadata, generation=before.metadata.generation + 1)
        changed = msgspec.structs.replace(
            before, metadata=metadata, spec=msgspec.structs.replace(before.spec, **members)
        )
        stored = await self.documents.put(generations.seen(changed), before.metadata.resource_version)
        await self.driver.settled(stored)
        return self.latest(name)

    def latest(self, name: str = "fn") -> Function:
        function = self.documents.get(Function, name)
        assert function is not None
        return function


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.packages.put(DIGEST, b"zip")
    return rig


async def test_a_new_function_becomes_active(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add()
    assert function.status.state == "Pending"
    await rig.driver.settled(function)
    assert (rig.latest().status.state, rig.latest().status.revision_id) == ("Active", "revision-0")


async def test_an_update_becomes_successful(rig: Rig) -> None:
    rig.driver.start()
    await rig.driver.settled(await rig.add())
    latest = rig.latest()
    changed = deployment.changed(latest, SPEC, arn="arn", revision_id="r2", now=0.0)
    await rig.driver.settled(await rig.documents.put(changed, latest.metadata.resource_version))
    assert rig.latest().status.last_update_status == "Successful"


async def test_what_a_crash_interrupted_is_taken_up(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Active"


async def test_a_package_that_is_missing_fails_the_function(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add(spec=msgspec.structs.replace(SPEC, code=Code(sha256="cd" * 32, size=3)))
    await rig.driver.settled(function)
    status = rig.latest().status
    assert status.state == "Failed"
    assert "is not in the package store" in (status.state_reason or "")


async def test_a_change_in_between_is_kept(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    tagged = msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, tags={"a": "b"}))
    await rig.documents.put(tagged, function.metadata.resource_version)
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Active"
    assert rig.latest().spec.tags == {"a": "b"}


async def test_a_function_deleted_meanwhile_is_left_alone(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    await rig.documents.delete(function, function.metadata.resource_version)
    await rig.driver.settled(function)
    assert rig.documents.list(Function) == []


async def test_settled_returns_at_once_for_what_is_settled(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add()
    await rig.driver.settled(function)
    await asyncio.wait_for(rig.driver.settled(rig.latest()), 1)


async def test_stopped_it_follows_no_more(rig: Rig) -> None:
    rig.driver.start()
    await rig.driver.stop()
    function = await rig.add()
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Pending"


async def files_of(rig: Rig, function: Function) -> dict[str, bytes]:
    """What is in the package that its code came to."""
    code = function.status.code
    assert code is not None and code.sha256 is not None
    data = await rig.packages.read(code.sha256)
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (code.sha256, code.size)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_inline_code_of_others_is_packed_and_stays_as_it_is(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.apply()
    assert (function.status.state, function.status.observed_generation) == ("Active", 1)
    assert function.spec.code == Code(inline=CODE)
    assert await files_of(rig, function) == {"app.py": CODE.encode()}


async def test_inline_files_of_others_are_packed(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.apply(code=Code(inline={"app.py": CODE, "lib/x.py": "X = 1"}))
    assert await files_of(rig, function) == {"app.py": CODE.encode(), "lib/x.py": b"X = 1"}


async def test_a_package_that_was_uploaded_before_is_taken(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.apply(code=Code(sha256=DIGEST))
    assert function.status.code == Code(sha256=DIGEST, size=3)
    assert function.spec.code == Code(sha256=DIGEST)


async def test_what_was_changed_while_no_gateway_ran_is_taken_up(rig: Rig) -> None:
    assert (await rig.apply()).status.state == "Pending"
    rig.driver.start()
    await rig.driver.settled(rig.latest())
    assert rig.latest().status.state == "Active"


async def test_a_change_of_others_beside_the_code_keeps_the_environments_of_what_the_api_made(rig: Rig) -> None:
    """G2: the API has measured the package, and whoever scales by kubectl does not."""
    spec = msgspec.structs.replace(SPEC, code=Code(sha256=DIGEST, size=3, unzipped_size=30))
    made = deployment.created("fn", spec, uid="u", revision_id="r", now=0.0)
    noted = generations.noted(made, FunctionStatus(), generation=1, url=None)
    stored = msgspec.structs.replace(noted, metadata=msgspec.structs.replace(made.metadata, generation=1))
    await rig.documents.put(stored, "")
    rig.driver.start()
    await rig.driver.settled(rig.latest())
    before = rig.latest().status
    status = (await rig.apply(replicas=2)).status
    assert (status.observed_generation, status.last_update_status) == (2, "Successful")
    assert (status.code, status.code_revision) == (spec.code, before.code_revision)


async def test_a_name_is_had_by_the_function_that_was_made_first_and_then_by_the_next(rig: Rig) -> None:
    """U1 of FunctionNames; the next one's turn comes by itself."""
    rig.driver.start()
    first = await rig.apply()
    status = (await rig.apply("later", function_name="fn")).status
    assert (status.state, status.state_reason) == (
        "Failed",
        "spec.functionName: fn is the name of the Function fn, which has it already.",
    )
    assert (await rig.apply(timeout=9)).status.last_update_status == "Successful"
    await rig.documents.delete(first, rig.latest().metadata.resource_version)
    await rig.driver.settled(rig.latest("later"))
    assert rig.latest("later").status.state == "Active"


async def test_a_reservation_that_was_refused_counts_nowhere_and_is_brought_about_once_there_is_room(rig: Rig) -> None:
    """G8."""
    rig.driver.start()
    await rig.apply(reserved_concurrent_executions=500)
    greedy = (await rig.apply("greedy", reserved_concurrent_executions=900)).status
    assert (greedy.state, greedy.state_reason_code) == ("Failed", "ReservationTooLarge")
    assert (await rig.apply(reserved_concurrent_executions=0, timeout=9)).status.last_update_status == "Successful"
    await rig.driver.settled(rig.latest("greedy"))
    assert rig.latest("greedy").status.state == "Active"
    assert (await rig.apply(reserved_concurrent_executions=1)).status.last_update_status == "Failed"
    assert reservations.in_force(rig.latest()) == 0
    await rig.documents.delete(rig.latest("greedy"), rig.latest("greedy").metadata.resource_version)
    await rig.driver.settled(rig.latest())
    assert (rig.latest().status.last_update_status, reservations.in_force(rig.latest())) == ("Successful", 1)


async def test_of_a_reservation_that_was_refused_another_wish_is_brought_about(rig: Rig) -> None:
    """G8: of whoever is asked, the API's writes are its own otherwise."""
    rig.driver.start()
    refused = await rig.apply(reserved_concurrent_executions=950)
    spec = msgspec.structs.replace(refused.spec, reserved_concurrent_executions=800)
    amended = deployment.amended(refused, spec, now=0.0)
    await rig.documents.put(amended, refused.metadata.resource_version)
    await rig.driver.settled(rig.latest())
    assert (rig.latest().status.state, reservations.in_force(rig.latest())) == ("Active", 800)


async def test_a_reservation_for_which_there_is_room_by_now_is_brought_about_by_the_next_gateway(rig: Rig) -> None:
    """G8."""
    rig.driver.start()
    first = await rig.apply(reserved_concurrent_executions=500)
    await rig.apply("later", reserved_concurrent_executions=500)
    await rig.driver.stop()
    await rig.documents.delete(first, rig.latest().metadata.resource_version)
    rig.driver = rig.gateway("next")
    rig.driver.start()
    await rig.driver.settled(rig.latest("later"))
    assert rig.latest("later").status.state == "Active"


MISSING = "ef" * 32


@pytest.mark.parametrize("restarted", [False, True])
def test_a_package_that_comes_later_is_taken_up_by_itself(restarted: bool) -> None:
    """G6. A gateway that has started since finds out by settling."""

    async def main() -> None:
        rig = Rig()
        rig.driver.start()
        await rig.apply(code=Code(sha256=MISSING))
        assert rig.latest().status.state == "Failed"
        before = rig.latest()
        rig.packages.away = True
        await asyncio.sleep(60)
        rig.packages.away = False
        await asyncio.sleep(3_600)
        assert rig.latest() == before, "nothing is written while it is looked for"
        driver = rig.driver
        if restarted:
            await rig.driver.stop()
            driver = rig.gateway("second")
            driver.start()
        await rig.packages.put(MISSING, b"zip")
        await asyncio.sleep(PAUSE_SECONDS_MAX + 1 if restarted else PAUSE_SECONDS_MIN + 1)
        assert rig.latest().status.state == "Active"
        await driver.stop()

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"code": Code(sha256=MISSING)}, "PackageNotFound", f"PUT it to /lambent/v1/packages/{MISSING}"),
        ({"code": Code()}, "InvalidZipFileException", "spec.code: give the code as inline"),
        ({"runtime": "python2.7"}, "InvalidConfiguration", "python2.7"),
        ({"layers": ["deps:1"]}, "LayerNotFound", "Layer version deps:1 does not exist"),
        ({"code": Code(inline={"../x.py": ""})}, "InvalidZipFileException", "spec.code.inline: ../x.py is no path"),
        (
            {"code": Code(inline={"a/b": "", "a": ""})},
            "InvalidZipFileException",
            "spec.code.inline: a is a file and a folder at once.",
        ),
        ({"code": Code(inline={NOT_TEXT: "x.py is 7"})}, "InvalidZipFileException", "spec.code.inline: x.py is 7"),
        (
            {"reserved_concurrent_executions": 901},
            "ReservationTooLarge",
            "spec.reservedConcurrentExecutions: Specified ReservedConcurrentExecutions for function decreases",
        ),
    ],
    ids=["package", "no code", "runtime", "layer", "path", "file and folder", "not text", "reservation"],
)
async def test_a_change_of_others_that_cannot_be(rig: Rig, members: dict[str, Any], code: str, text: str) -> None:
    """A new function fails; one that runs goes on with its last code (G3), until it is mended."""
    rig.driver.start()
    status = (await rig.apply("new", **members)).status
    assert (status.state, status.state_reason_code) == ("Failed", code)
    assert text in (status.state_reason or "")

    before = (await rig.apply()).status
    status = (await rig.apply(**members)).status
    assert (status.state, status.last_update_status, status.last_update_status_reason_code) == (
        "Active",
        "Failed",
        code,
    )
    assert text in (status.last_update_status_reason or "")
    assert (status.code, status.code_revision) == (before.code, before.code_revision)

    mended = {name: getattr(INLINE, name) for name in members}
    for name in ("new", "fn"):
        status = (await rig.apply(name, **mended)).status
        assert (status.state, status.last_update_status) == ("Active", "Successful")
        assert status.code_revision == 1


IMAGE_TWO = FoundImage(digest="sha256:" + "2" * 64, command=["/run"])
IMAGE: dict[str, Any] = {"package_type": "Image", "runtime": None, "handler": None, "code": Code(image_uri="fn:1")}


async def test_an_image_of_others_is_looked_up_and_stays_as_it_is(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.apply(**IMAGE)
    assert isinstance(rig.registry.image, FoundImage)
    assert function.status.state == "Active"
    assert function.status.code == Code(image_uri="fn:1", image=rig.registry.image)
    assert generations.seen(function).spec.code == function.status.code


async def test_a_tag_of_others_is_looked_up_when_it_is_given_and_not_at_every_change(rig: Rig) -> None:
    rig.driver.start()
    first = (await rig.apply(**IMAGE)).status
    rig.registry.image = FoundImage(digest="sha256:" + "2" * 64, command=["/run"])
    status = (await rig.apply(timeout=9)).status
    assert (status.code, status.code_revision) == (first.code, 2)
    status = (await rig.apply(code=Code(image_uri="fn:2"))).status
    assert (status.code, status.code_revision) == (Code(image_uri="fn:2", image=rig.registry.image), 3)
    status = (await rig.apply(architectures=["arm64"])).status
    assert status.code is not None and status.code.image is not None and status.code.image.architecture == "arm64"


async def test_an_image_that_says_all_itself_is_not_looked_up(rig: Rig) -> None:
    rig.driver.start()
    rig.registry.image = absent_image("fn:1", "docker.io")
    function = await rig.apply(**IMAGE, image_config=ImageConfig(entry_point=["/run"], command=["a"]))
    assert (function.status.state, function.status.code) == ("Active", Code(image_uri="fn:1"))


@pytest.mark.parametrize(
    "problem", [absent_image("fn:1", "r"), denied_image("fn:1", "r", "401"), unsupported_image("fn:1")]
)
async def test_an_image_of_others_that_cannot_be_had(rig: Rig, problem: ImageProblem) -> None:
    rig.driver.start()
    good, rig.registry.image = rig.registry.image, problem
    status = (await rig.apply(**IMAGE)).status
    assert (status.state, status.state_reason_code, status.state_reason) == ("Failed", problem.code, problem.message)
    rig.registry.image = good
    before = (await rig.apply(code=Code(image_uri="fn:2"))).status
    assert (before.state, before.last_update_status) == ("Active", "Successful")
    rig.registry.image = problem
    status = (await rig.apply(code=Code(image_uri="fn:3"))).status
    assert (status.state, status.last_update_status_reason_code) == ("Active", problem.code)
    assert (status.code, status.code_revision) == (before.code, before.code_revision), "the last one stays in force"


async def test_a_function_url_of_others_is_told(rig: Rig) -> None:
    rig.driver.start()
    status = (await rig.apply(url=FunctionUrl())).status
    assert status.url == "http://url" and status.url_id
    assert (await rig.apply(url=None)).status.url is None


async def test_two_changes_in_a_row_both_come_about(rig: Rig) -> None:
    rig.driver.start()
    await rig.apply()
    before = rig.latest()
    for number, timeout in ((2, 5), (3, 6)):
        metadata = msgspec.structs.replace(before.metadata, generation=number)
        changed = msgspec.structs.replace(
            before, metadata=metadata, spec=msgspec.structs.replace(before.spec, timeout=timeout)
        )
        before = await rig.documents.put(generations.seen(changed), before.metadata.resource_version)
    await rig.driver.settled(before)
    status = rig.latest().status
    assert (status.observed_generation, status.last_update_status) == (3, "Successful")
    assert status.code_revision in (2, 3) and rig.latest().spec.timeout == 6


def test_while_the_store_is_unusable_settling_is_tried_again() -> None:
    async def main() -> None:
        rig = Rig()
        await rig.packages.put(DIGEST, b"zip")
        function = Function(metadata=Metadata(name="fn", uid="u", generation=1), spec=SPEC)
        await rig.documents.put(function, "")
        rig.documents.refusals = 5
        rig.driver.start()
        await rig.driver.settled(function)
        assert rig.latest().status.state == "Pending"
        while rig.latest().status.state == "Pending":
            await asyncio.sleep(0.5)
        assert rig.documents.refused == 5
        assert rig.latest().status.state == "Active"
        await rig.driver.stop()

    virtual_time.run(main())


def waiting_for_an_image(then: Callable[[Rig], Awaitable[None]], *, restarted: bool = False) -> None:
    """Runs `then` with a function whose first image ran, and whose second is not there."""

    async def main() -> None:
        rig = Rig()
        rig.driver.start()
        await rig.apply(**IMAGE)
        rig.registry.image = absent_image("fn:2", "docker.io")
        await rig.apply(code=Code(image_uri="fn:2"))
        assert rig.latest().status.last_update_status == "Failed"
        if restarted:
            await rig.driver.stop()
            rig.driver.start()
        await then(rig)
        await rig.driver.stop()

    virtual_time.run(main())


@pytest.mark.parametrize("restarted", [False, True])
def test_an_image_that_comes_late_is_found(restarted: bool) -> None:
    async def then(rig: Rig) -> None:
        await asyncio.sleep(100)
        rig.registry.image = IMAGE_TWO
        began = asyncio.get_running_loop().time()
        while rig.latest().status.last_update_status != "Successful":
            await asyncio.sleep(1)
        assert asyncio.get_running_loop().time() - began <= 300
        assert rig.latest().status.code_revision == 2
        code = rig.latest().status.code
        assert code is not None and code.image == IMAGE_TWO

    waiting_for_an_image(then, restarted=restarted)


def test_while_an_image_is_looked_for_nothing_is_written() -> None:
    async def then(rig: Rig) -> None:
        before, asked = rig.latest(), rig.registry.asked
        await asyncio.sleep(3_600)
        assert rig.latest() == before
        assert 10 <= rig.registry.asked - asked <= 20

    waiting_for_an_image(then)


def test_an_image_that_is_no_longer_wanted_is_not_looked_for() -> None:
    async def then(rig: Rig) -> None:
        await rig.apply(code=Code(image_uri="fn:1"), image_config=ImageConfig(entry_point=["/a"], command=["b"]))
        assert rig.latest().status.last_update_status == "Successful"
        asked = rig.registry.asked
        await asyncio.sleep(3_600)
        assert rig.registry.asked == asked
        await rig.apply(code=Code(image_uri="fn:3"), image_config=None)
        await rig.documents.delete(rig.latest(), rig.latest().metadata.resource_version)
        asked = rig.registry.asked
        await asyncio.sleep(3_600)
        assert rig.registry.asked == asked

    waiting_for_an_image(then)


@pytest.mark.parametrize("stopped", [0, 1])
def test_an_image_is_looked_for_whichever_gateway_goes(stopped: int) -> None:
    """G6. Nothing is written, and each looks as seldom as one alone does."""

    async def main() -> None:
        rig = Rig()
        gateways = [rig.driver, rig.gateway("other")]
        for gateway in gateways:
            gateway.start()
        await rig.apply(**IMAGE)
        rig.registry.image = absent_image("fn:2", "docker.io")
        await rig.apply(code=Code(image_uri="fn:2"))
        before, asked = rig.latest(), rig.registry.asked
        assert before.status.last_update_status == "Failed"
        await asyncio.sleep(3_600)
        assert rig.latest() == before
        assert 20 <= rig.registry.asked - asked <= 40
        await gateways[stopped].stop()
        rig.registry.image = IMAGE_TWO
        await asyncio.sleep(PAUSE_SECONDS_MAX + 1)
        status = rig.latest().status
        assert (status.last_update_status, status.code) == ("Successful", Code(image_uri="fn:2", image=IMAGE_TWO))
        await gateways[1 - stopped].stop()

    virtual_time.run(main())


def test_gateways_that_have_not_seen_which_image_it_is_find_out_by_settling_once_each() -> None:
    """They have started since, and see the function with the code in force."""

    async def then(rig: Rig) -> None:
        await rig.driver.stop()
        writes: list[Document | None] = []
        rig.documents.subscribe(lambda old, new: writes.append(new))
        gateways = [rig.driver, rig.gateway("second"), rig.gateway("third")]
        for gateway in gateways:
            gateway.start()
        asked = rig.registry.asked
        await asyncio.sleep(7_200)
        assert 2 <= len(writes) <= 2 * len(gateways)
        assert rig.registry.asked - asked <= 30 * len(gateways)
        rig.registry.image = IMAGE_TWO
        await asyncio.sleep(PAUSE_SECONDS_MAX + 1)
        assert rig.latest().status.last_update_status == "Successful"
        for gateway in gateways:
            await gateway.stop()

    waiting_for_an_image(then)


def test_an_image_is_looked_for_though_the_answer_to_the_write_that_says_so_was_lost() -> None:
    """G6."""

    async def main() -> None:
        rig = Rig()
        rig.driver.start()
        await rig.apply(**IMAGE)
        rig.registry.image = absent_image("fn:2", "docker.io")
        before = rig.latest()
        metadata = msgspec.structs.replace(before.metadata, generation=2)
        spec = msgspec.structs.replace(before.spec, code=Code(image_uri="fn:2"))
        changed = generations.seen(msgspec.structs.replace(before, metadata=metadata, spec=spec))
        stored = await rig.documents.put(changed, before.metadata.resource_version)
        rig.documents.answers_lost = 1
        await rig.driver.settled(stored)
        assert (rig.documents.answers_lost, rig.latest().status.last_update_status) == (0, "Failed")
        rig.registry.image = IMAGE_TWO
        await asyncio.sleep(PAUSE_SECONDS_MAX + 1)
        assert rig.latest().status.last_update_status == "Successful"
        await rig.driver.stop()

    virtual_time.run(main())


LAYERED = ["deps:1"]
DEPS = layers.version_of("deps", 1, {}, Package(DIGEST, 3, 3), uid="u", now=0.0)


async def test_a_function_that_comes_before_its_layer_waits_for_it(rig: Rig) -> None:
    """G5: `kubectl apply` of a folder brings them in any order."""
    rig.driver.start()
    status = (await rig.apply(layers=LAYERED)).status
    assert (status.state, status.state_reason) == ("Failed", "spec.layers: Layer version deps:1 does not exist.")
    await rig.documents.put(DEPS, "")
    await rig.driver.settled(rig.latest())
    status = rig.latest().status
    assert (status.state, status.last_update_status) == ("Active", "Successful")
    assert [layer.layer for layer in status.layers] == LAYERED


async def test_a_layer_that_came_while_no_gateway_ran(rig: Rig) -> None:
    rig.driver.start()
    await rig.apply(layers=LAYERED)
    await rig.driver.stop()
    await rig.documents.put(DEPS, "")
    rig.driver.start()
    await rig.driver.settled(rig.latest())
    assert rig.latest().status.state == "Active"


async def test_a_store_that_is_away_when_the_layer_comes(rig: Rig) -> None:
    rig.driver.start()
    await rig.apply(layers=LAYERED)
    stored = await rig.documents.put(DEPS, "")
    rig.documents.refusals = 1
    rig.documents.refused = 0
    while rig.latest().status.state != "Active":
        await rig.driver.settled(rig.latest())
    assert (rig.documents.refused, rig.latest().status.state) == (1, "Active")
    assert stored.status.state == "Active"


def test_while_the_packages_cannot_be_asked_a_change_is_under_way() -> None:
    async def main() -> None:
        rig = Rig()
        await rig.packages.put(DIGEST, b"zip")
        rig.packages.away = True
        rig.driver.start()
        assert generations.is_foreign(await rig.apply(code=Code(sha256=DIGEST)))
        rig.packages.away = False
        while generations.is_foreign(rig.latest()):
            await asyncio.sleep(1)
        assert rig.latest().status.last_update_status == "Successful"
        await rig.driver.stop()

    virtual_time.run(main())


async def test_what_is_wrong_otherwise_is_told_once(rig: Rig) -> None:
    rig.driver.start()
    await rig.apply(layers=LAYERED, runtime="python2.7")
    await rig.documents.put(DEPS, "")
    await rig.driver.settled(rig.latest())
    before = rig.latest()
    assert "python2.7" in (before.status.state_reason or "")
    await rig.driver.settled(before)
    assert rig.latest() == before


async def test_a_function_keeps_its_layer_when_that_is_gone(rig: Rig) -> None:
    rig.driver.start()
    layer = await rig.documents.put(DEPS, "")
    used = (await rig.apply(layers=LAYERED)).status.layers
    await rig.documents.delete(layer, layer.metadata.resource_version)
    status = (await rig.apply(timeout=9)).status
    assert (status.last_update_status, status.layers) == ("Successful", used)


async def test_a_change_that_cannot_be_leaves_the_layers_in_force(rig: Rig) -> None:
    """G3."""
    rig.driver.start()
    await rig.documents.put(DEPS, "")
    used = (await rig.apply(layers=LAYERED)).status.layers
    status = (await rig.apply(layers=["other:1"])).status
    assert (status.last_update_status, status.layers) == ("Failed", used)


async def test_code_and_layers_of_others_count_together(rig: Rig) -> None:
    rig.driver.start()
    await rig.documents.put(
        layers.version_of("huge", 1, {}, Package(DIGEST, 3, limits.UNZIPPED_BYTES_MAX), uid="u", now=0.0), ""
    )
    status = (await rig.apply(layers=["huge:1"])).status
    assert status.state == "Failed"
    assert "Function code combined with layers exceeds the maximum allowed size" in (status.state_reason or "")


async def test_a_layer_whose_package_is_lost_fails_an_update(rig: Rig) -> None:
    await rig.packages.put(DIGEST, b"zip")
    function = deployment.created("fn", SPEC, uid="u", revision_id="r", now=0.0)
    lost = FunctionLayer(layer="deps:1", sha256=MISSING, size=3, unzipped_size=3)
    status = msgspec.structs.replace(function.status, layers=[lost])
    await rig.documents.put(msgspec.structs.replace(function, status=status), "")
    rig.driver.start()
    await rig.driver.settled(function)
    assert "The package of layer deps:1 is not in the package store" in (rig.latest().status.state_reason or "")
