"""The policy: safeguards that are weaker than the defaults, which follow what the CI systems promise."""

from __future__ import annotations

from datetime import timedelta

from bot.app.wiring import Wiring
from bot.config.settings import Config
from bot.core.phrase import duration
from bot.core.policy import Policy
from bot.doctor.check import Area, Result

_POLICY = Area("policy")
_DEFAULTS = Policy()


async def checks(config: Config, _: Wiring) -> list[Result]:
    policy = config.policy
    settle = {f"settle.{end.name.lower()}": (policy.settle_time(end), usual) for end, usual in _DEFAULTS.settle.items()}
    least = {
        **settle,
        "state_quiet": (policy.state_quiet, _DEFAULTS.state_quiet),
        "clock_skew": (policy.clock_skew, _DEFAULTS.clock_skew),
    }
    weak = [_weaker(key, given, usual, "shorter") for key, (given, usual) in least.items() if given < usual]
    if policy.evidence_max_age > _DEFAULTS.evidence_max_age:
        weak.append(_weaker("evidence_max_age", policy.evidence_max_age, _DEFAULTS.evidence_max_age, "longer"))
    return weak or [_POLICY.ok("safeguards", "none is weaker than the defaults")]


def _weaker(key: str, given: timedelta, usual: timedelta, how: str) -> Result:
    detail = f"{duration(given)} is {how} than the default of {duration(usual)}: a live process may be missed"
    return _POLICY.warn(key, detail, f"remove policy.{key}, unless you know better of your CI")
