"""People, channels and files in the shapes that Slack's answers have (docs.slack.dev/reference/objects)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.sandbox.slack.team import BOT_USER, DOMAIN, SLACKBOT, TEAM, Json, Place, Team, Upload, User


def user_shown(user: User, team: Team) -> Json:
    """`users.info`'s user. A deactivated one has no time zone (docs.slack.dev/reference/objects/user-object)."""
    view: Json = {
        "id": user.id,
        "name": user.name,
        "deleted": user.is_deleted,
        "profile": profile_shown(user),
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1,
    }
    if user.team:
        view["team_id"] = user.team
    if user.enterprise:
        teams = [TEAM] if user.enterprise == team.enterprise else []
        view["enterprise_user"] = {"id": user.id, "enterprise_id": user.enterprise, "teams": teams}
    if user.is_stranger:
        view["is_stranger"] = True
    if not user.is_deleted:
        offset = datetime.fromtimestamp(team.clock(), ZoneInfo(user.tz)).utcoffset()
        view |= {
            "real_name": user.name.title(),
            "tz": user.tz,
            "tz_label": user.tz,
            "tz_offset": int(offset.total_seconds()) if offset else 0,
            "is_admin": False,
            "is_owner": False,
            "is_restricted": user.is_guest,
            "is_ultra_restricted": False,
        }
    return view


def profile_shown(user: User) -> Json:
    view: Json = {
        "real_name": user.name.title(),
        "display_name": user.name,
        "status_text": user.status_text,
        "status_emoji": user.status_emoji,
        "status_expiration": user.status_until,
        "team": user.team,
    }
    return view | ({"email": user.email} if user.email else {})


def place_shown(place: Place) -> Json:
    if place.direct_to:
        return {"id": place.id, "is_im": True, "user": place.direct_to, "is_archived": place.is_archived, "created": 1}
    return {
        "id": place.id,
        "name": place.name,
        "name_normalized": place.name,
        "is_channel": not place.is_private,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": place.is_private,
        "is_archived": place.is_archived,
        "is_general": False,
        "is_shared": place.is_shared,
        "is_ext_shared": place.is_shared,
        "is_org_shared": False,
        "is_member": BOT_USER in place.members,
        "created": 1,
        "creator": SLACKBOT,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def file_shown(upload: Upload, base: str = "") -> Json:
    """A file; with the server's `base`, also where its bytes are."""
    place = {"url_private_download": f"{base}/files-pri/{upload.id}/download/{upload.filename}"} if base else {}
    return {
        **place,
        "id": upload.id,
        "name": upload.filename,
        "title": upload.title or upload.filename,
        "size": upload.length,
        "user": BOT_USER,
        "channels": [],
        "permalink": f"https://{DOMAIN}.slack.com/files/{BOT_USER}/{upload.id}/{upload.filename}",
    }
