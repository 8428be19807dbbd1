"""What keeps `serve` from starting is said in a sentence, and is no trace."""

import socket


async def test_a_port_that_is_taken_is_named(slack, redis, terminal):
    terminal.environ |= {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": "sandbox-signing-secret",
        "REDIS_URL": redis,
    }
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await terminal.run("serve", PORT=str(port))

    assert ended.code == 1
    assert f"Port {port} cannot be served (Address already in use)" in ended.err
    assert "Traceback" not in ended.err + ended.out
