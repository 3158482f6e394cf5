"""Where function URLs lead, as functions, aliases and their URLs come and go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core.function import Function, FunctionUrl
from lambent_core.versions import FunctionAlias
from lambent_gateway.api.calls import Functions
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.api.served_urls import ServedUrl, ServedUrls

FUNCTIONS = "/2015-03-31/functions"
URLS = "/2021-10-31/functions"


@pytest.fixture
def urls(live: Any) -> ServedUrls:
    return ServedUrls(live.documents, Functions(live.documents), Qualified(live.documents))


async def with_url(live: Any, name: str) -> str:
    """Its id."""
    await live.create(name)
    assert (await live.request("POST", f"{URLS}/{name}/url", {"AuthType": "NONE"})).status == 201
    id = live.documents.get(Function, name).status.url_id
    assert isinstance(id, str)
    return id


async def test_a_url_is_found_by_its_functions_name_and_by_its_id(live: Any, urls: ServedUrls) -> None:
    id = await with_url(live, "fn")
    assert urls.find("fn") == urls.find(id) == ServedUrl(FunctionUrl(), id, "fn")
    assert ServedUrls(live.documents, Functions(live.documents), Qualified(live.documents)).find(id) == urls.find(id)


async def test_a_url_that_is_deleted_leads_nowhere(live: Any, urls: ServedUrls) -> None:
    id = await with_url(live, "fn")
    await live.request("DELETE", f"{URLS}/fn/url")
    assert urls.find("fn") is urls.find(id) is urls.find("nobody") is urls.find("") is None


async def test_a_function_that_is_deleted_takes_its_url_along(live: Any, urls: ServedUrls) -> None:
    id = await with_url(live, "fn")
    await live.function("DELETE")
    assert urls.find("fn") is urls.find(id) is None


async def test_an_alias_has_a_url_of_its_own(live: Any, urls: ServedUrls) -> None:
    await live.create()
    await live.request("POST", f"{FUNCTIONS}/fn/versions", {})
    await live.request("POST", f"{FUNCTIONS}/fn/aliases", {"Name": "live", "FunctionVersion": "1"})
    assert urls.find("fn:live") is None
    await live.request("POST", f"{URLS}/fn/url", {"AuthType": "NONE"}, query="Qualifier=live")
    (alias,) = live.documents.list(FunctionAlias)
    assert urls.find("fn:live") == urls.find(alias.url_id) == ServedUrl(FunctionUrl(), alias.url_id, "fn", "live")
    assert urls.find("fn") is None and urls.find("fn:other") is None
    await live.request("DELETE", f"{FUNCTIONS}/fn/aliases/live")
    assert urls.find("fn:live") is urls.find(alias.url_id) is None


async def test_of_two_functions_that_claim_one_name_the_url_of_the_one_that_has_it_is_served(
    live: Any, urls: ServedUrls
) -> None:
    id = await with_url(live, "fn")
    first = live.documents.get(Function, "fn")
    other = msgspec.structs.replace(
        first,
        metadata=msgspec.structs.replace(first.metadata, name="other", uid="later", resource_version=""),
        spec=msgspec.structs.replace(first.spec, function_name="fn"),
        status=msgspec.structs.replace(first.status, url_id="of-the-other"),
    )
    await live.documents.put(other, "")
    assert urls.find("of-the-other") is None
    assert urls.find(id) == ServedUrl(FunctionUrl(), id, "fn")
