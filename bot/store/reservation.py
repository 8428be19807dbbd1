"""What a channel's key says: whose the channel is, and what there is to do if that incident is not open yet.

    tflock:channel:<channel>

Opening, reopening and restoring an open incident begin by writing a reservation, if nobody has the channel. It says
everything that there is to do, and any caller that meets it does it: so it does not matter where its maker died, and of
two at once one wins. An incident's `life` counts its openings: a reservation for a life that is over is given up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from bot.core.instants import stamp
from bot.core.record.incident import Incident
from bot.core.record.timeline import canonical
from bot.store.chain import head_of


@dataclass(frozen=True, slots=True)
class Reservation:
    """The channel is for the incident's first, second, … `life`, begun `by` and `at`.

    `token` is the attempt's own. `staged`: the timeline is put back, and lies under the token.
    """

    incident: Incident
    life: int
    by: str
    at: datetime
    token: str = ""
    staged: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it is for an incident that was never there."""
        return self.life == 1 and not self.staged

    def is_of(self, incident_id: str, *, until: int) -> bool:
        """Whether it is for one of the incident's lives up to `until`."""
        return self.incident.id == incident_id and self.life <= until

    def spelled(self) -> str:
        more = {"life": self.life, "by": self.by, "at": stamp(self.at), "token": self.token, "staged": self.staged}
        return canonical({"id": self.incident.id, **head_of(self.incident), **more})

    @staticmethod
    def read(text: str) -> Reservation:
        """Earlier versions wrote only the incident."""
        fields = json.loads(text)
        opened_at = datetime.fromisoformat(fields["opened_at"])
        incident = Incident(fields["id"], fields["channel"], fields["title"], opened_at, fields["opened_by"])
        at = datetime.fromisoformat(fields["at"]) if "at" in fields else opened_at
        by, token = fields.get("by", incident.opened_by), fields.get("token", "")
        return Reservation(incident, fields.get("life", 1), by, at, token, fields.get("staged", False))


def channel_key(channel: str) -> str:
    return f"tflock:channel:{channel}"
