"""Whatever a store that only resembles Amazon's answers is unseen: no lock looks free, and nothing of the wrong kind is
raised.
"""

import gc
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.backends.s3.sweep import S3Sweep
from bot.core.evidence import Found, Unseen
from bot.core.hold import HoldWords, hold_info
from bot.core.lock import PlaceKind, ReleaseResult, StateAbsent, TakeResult
from tests.worlds.clocks import WallClock
from tests.worlds.proxy import Answer

KEY = "environments/staging/terraform.tfstate"
JSON = {"Content-Type": "application/x-amz-json-1.0"}
XML = {"Content-Type": "application/xml"}
DATE = "Mon, 30 Nov 2026 12:00:00 GMT"
HTML = b"<!doctype html><html><body>Please log in</body></html>"
ERROR = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>again</Message></Error>"
ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'

PAGES = {
    "a page": Answer(200, HTML, {"Content-Type": "text/html"}),
    "a page under another name": Answer(200, HTML, {"Content-Type": "application/octet-stream"}),
    "nothing": Answer(200),
    "an error with the status of a success": Answer(200, ERROR, XML),
    "no content": Answer(204),
    "a redirect": Answer(302, HTML, {"Location": "http://127.0.0.1:1/"}),
    "a page with the status of an error": Answer(403, HTML, {"Content-Type": "text/html"}),
    "a gateway's 404": Answer(404, HTML, {"Content-Type": "text/html"}),
    "a broken gateway": Answer(502, HTML, {"Content-Type": "text/html"}),
    "bytes": Answer(200, b"\xff\xfe\x00\x01", JSON),
}
ERRORS = {
    "an error of DynamoDB's": Answer(
        200, b'{"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "again"}', JSON
    ),
    "an error of a gateway's": Answer(200, b'{"message": "Forbidden"}', JSON),
}
ITEMS = {
    **PAGES,
    **ERRORS,
    "a list": Answer(200, b"[]", JSON),
    "null": Answer(200, b"null", JSON),
    "a text": Answer(200, b'"Item"', JSON),
    "half a document": Answer(200, b'{"Item": {"LockID"', JSON),
    "an item that is a text": Answer(200, b'{"Item": "locked"}', JSON),
    "an item that is a list": Answer(200, b'{"Item": [1]}', JSON),
    "an attribute that is a text": Answer(200, b'{"Item": {"Info": "x"}}', JSON),
    "an attribute that is a number": Answer(200, b'{"Item": {"Info": {"S": 7}}}', JSON),
}
OBJECTS = {
    **{name: answer for name, answer in PAGES.items() if name not in {"nothing", "bytes"}},
    "no LastModified": Answer(200, b"{}", {"ETag": ETAG}),
    "no ETag": Answer(200, b"{}", {"Last-Modified": DATE}),
    "no header at all": Answer(200, b"{}"),
    "a LastModified that is none": Answer(200, b"{}", {"ETag": ETAG, "Last-Modified": "yesterday"}),
    "a LastModified beyond time": Answer(200, b"{}", {"ETag": ETAG, "Last-Modified": "9" * 30}),
    "an empty ETag": Answer(200, b"{}", {"ETag": "", "Last-Modified": DATE}),
    "an error with all headers": Answer(200, ERROR, {"ETag": ETAG, "Last-Modified": DATE}),
}
LISTINGS = {
    **PAGES,
    "another listing": Answer(200, b"<ListBucketResult><Name>b</Name></ListBucketResult>", XML),
    "half a listing": Answer(200, b"<ListVersionsResult><Version><Key>", XML),
    "versions without their ids": Answer(
        200, f"<ListVersionsResult><Version><Key>{KEY}</Key></Version></ListVersionsResult>".encode(), XML
    ),
    "versions without their keys": Answer(
        200, b"<ListVersionsResult><Version><VersionId>1</VersionId></Version></ListVersionsResult>", XML
    ),
}


@pytest.fixture
def closed():
    """What a test leaves open is told as this test's, and not as that of whoever runs when it is found."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", ITEMS)
async def test_an_odd_answer_about_the_item_is_unseen_and_never_free(cloud, name):
    cloud.proxy.fault("dynamodb:GetItem", ITEMS[name])

    seen = await cloud.backend().read_lock()

    assert PlaceKind.ITEM not in seen.free
    assert not any(place.info for place in seen.held)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("name", OBJECTS)
async def test_an_odd_answer_about_the_lock_object_is_unseen_and_never_free(cloud, name):
    cloud.proxy.fault("s3:GetObject", OBJECTS[name])

    seen = await cloud.backend().read_lock()

    assert dict(seen.unseen).keys() == {PlaceKind.FILE}
    assert all(isinstance(why, Unseen) and why.detail for _, why in seen.unseen)


async def test_a_whole_answer_is_seen(cloud):
    lock = cloud.lock()
    await cloud.aws.hold(KEY, lock.text, item=True, file=True)

    seen = await cloud.backend().read_lock()

    assert {place.info.id for place in seen.held} == {lock.id}
    assert (await cloud.backend(dynamodb_table=None, use_lockfile=True, key="else").read_lock()).free == (
        PlaceKind.FILE,
    )


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("name", OBJECTS)
async def test_an_odd_answer_about_the_state_is_unseen_or_a_damaged_state(cloud, name):
    await cloud.aws.put_state(KEY)
    cloud.proxy.fault("s3:GetObject", OBJECTS[name])

    state = (await cloud.backend().read_state()).state

    assert isinstance(state, Unseen) or (isinstance(state, Found) and state.value.fault)


@pytest.mark.parametrize("name", LISTINGS)
async def test_a_state_whose_versions_are_answered_oddly_was_not_never_written(cloud, name):
    cloud.proxy.fault("s3:ListObjectVersions", LISTINGS[name])

    assert isinstance((await cloud.backend().read_state()).state, Unseen)

    cloud.proxy.lift_all()
    assert isinstance((await cloud.backend().read_state()).state.value, StateAbsent)


ONLY = {PlaceKind.FILE: {"dynamodb_table": None}, PlaceKind.ITEM: {"use_lockfile": False}}


@pytest.mark.parametrize("name", [*PAGES, *ERRORS])
async def test_an_odd_answer_to_a_delete_is_no_release(cloud, name):
    await is_no_release(cloud, PlaceKind.ITEM, "dynamodb:DeleteItem", ITEMS[name])


@pytest.mark.parametrize("name", ["nothing", "a page", "an error with the status of a success"])
async def test_an_odd_answer_to_the_delete_of_an_object_is_no_release(cloud, name):
    """S3 answers a delete that it has carried out with 204 and nothing else; a page with 200 is someone else's."""
    await is_no_release(cloud, PlaceKind.FILE, "s3:DeleteObject", PAGES[name])


async def is_no_release(cloud, kind, operation, answer):
    lock, is_item = cloud.lock(), kind is PlaceKind.ITEM
    await cloud.aws.hold(KEY, lock.text, item=is_item, file=not is_item)
    backend = cloud.backend(**ONLY[kind])
    (place,) = (await backend.read_lock()).held
    cloud.proxy.fault(operation, answer)

    released = await backend.release(place)

    assert released.result is not ReleaseResult.RELEASED
    assert (await cloud.aws.lock_ids(KEY))["item" if is_item else "file"] == lock.id
    cloud.proxy.lift_all()
    assert (await backend.release(place)).result is ReleaseResult.RELEASED


@pytest.mark.parametrize("kind", [PlaceKind.FILE, PlaceKind.ITEM])
@pytest.mark.parametrize("name", ["nothing", "no content", "an error with the status of a success"])
async def test_an_odd_answer_to_a_write_is_no_hold(cloud, name, kind):
    backend = cloud.backend(**ONLY[kind])
    wanted = hold_info(
        f"{kind}-1", HoldWords("id1", "quinn", "inc", "", WallClock().now(), ""), created=WallClock().now(), path="p"
    )
    cloud.proxy.fault("s3:PutObject", PAGES[name])
    cloud.proxy.fault("dynamodb:PutItem", PAGES[name])

    took = await backend.take(kind, wanted)

    assert took.result is not TakeResult.TAKEN
    cloud.proxy.lift_all()
    assert (await backend.take(kind, wanted)).result is TakeResult.TAKEN


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Item", "Info", "LockID", "S", "Responses", "t", "UnprocessedKeys", "Keys"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSONS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20))
async def test_no_document_breaks_a_look_or_a_sweep(cloud, body):
    cloud.proxy.fault("dynamodb:GetItem", Answer(200, body, JSON))
    cloud.proxy.fault("dynamodb:BatchGetItem", Answer(200, body, JSON))

    seen = await cloud.backend(use_lockfile=False).read_lock()
    sweep = S3Sweep({"staging": cloud.address}, cloud.clients(), WallClock(), rng=random.Random(7))
    swept = await sweep.read_locks(["staging"])

    cloud.proxy.lift_all()
    assert len(seen.free) + len(seen.unseen) + len(seen.held) == 1
    assert len(swept["staging"].free) + len(swept["staging"].unseen) + len(swept["staging"].held) == 2
