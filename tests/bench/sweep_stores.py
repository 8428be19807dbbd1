"""A DynamoDB and an S3 in which nothing is locked, as a process of its own: `sweep_stores.py PORT`."""

from __future__ import annotations

import json
import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Counts each operation; `GET /counts` tells how often each came."""
    counts: dict[str, int] = request.app["counts"]
    if request.path == "/counts":
        told = dict(counts)
        counts.clear()
        return web.json_response(told)
    body = await request.read()
    operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2] or "s3"
    counts[operation] = counts.get(operation, 0) + 1
    if operation == "BatchGetItem":
        [table] = json.loads(body)["RequestItems"]
        return web.json_response({"Responses": {table: []}, "UnprocessedKeys": {}})
    return web.json_response({} if operation == "GetItem" else {"__type": "UnknownOperation"})


def main() -> None:
    app = web.Application()
    app["counts"] = {}
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


if __name__ == "__main__":
    main()
