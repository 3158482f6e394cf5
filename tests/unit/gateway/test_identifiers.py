from uuid import UUID

from lambent_gateway.identifiers import RequestIds


def test_request_ids_are_random_uuids_and_none_comes_twice() -> None:
    new_request_id = RequestIds()
    ids = [new_request_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert {UUID(id).version for id in ids} == {4}
    assert all(str(UUID(id)) == id for id in ids)
