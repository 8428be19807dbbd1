"""Steps of workflows: how an app tells the local workspace that one is done.

Source: docs.slack.dev/reference/methods/functions.completeSuccess and functions.completeError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.methods import Args, Method, Refused
from bot.sandbox.slack.world import Json, World


def complete_success(world: World, args: Args) -> Json:
    execution = _running(world, args)
    given = args.get("outputs")
    try:
        outputs = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise Refused("invalid_arguments") from None
    if not isinstance(outputs, Mapping):
        raise Refused("parameter_validation_failed")
    execution.update({"state": "succeeded", "outputs": dict(outputs)})
    return {}


def complete_error(world: World, args: Args) -> Json:
    execution, error = _running(world, args), str(args.get("error") or "")
    if not error:
        raise Refused("invalid_arguments")
    execution.update({"state": "failed", "error": error})
    return {}


def _running(world: World, args: Args) -> dict[str, Any]:
    execution = world.executions.get(str(args.get("function_execution_id")))
    if execution is None:
        raise Refused("function_execution_not_found")
    if execution["state"] != "running":
        raise Refused("execution_not_in_running_state")
    return execution


FUNCTIONS: Mapping[str, Method] = {
    "functions.completeSuccess": complete_success,
    "functions.completeError": complete_error,
}
