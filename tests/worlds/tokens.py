"""The servers that give tokens: Microsoft Entra ID and Azure's identity endpoints, Google's, as they document them.

A token's `lasts` in seconds. `given` counts the tokens. What is wrong is refused as there, with more words than anyone
should repeat: they hold what was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from aiohttp import web

from bot.sandbox.stand_in import Refused
from tests.worlds.stand_in import FaultyStandIn

TENANT, CLIENT, SECRET = "11111111-2222-4333-8444-555555555555", "66666666-7777-4888-9999-000000000000", "s3cr3t-4712"
ASSERTION = "federated-0815"
TOKEN = "token-that-nobody-may-see"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/ci"
ACCOUNT = "tflock@acme.iam.gserviceaccount.com"


@dataclass(kw_only=True)
class TokenServer(FaultyStandIn):
    lasts: int = 3600
    given: int = 0
    public_key: str = ""
    forms: list[dict[str, str]] = field(default_factory=list)

    def routes(self) -> Any:
        return {
            "GET /metadata/identity/oauth2/token": self._machine,
            "GET /msi/token": self._app_service,
            "GET /common/discovery/instance": self._instances,
            "GET /{tenant}/v2.0/.well-known/openid-configuration": self._discovery,
            "POST /{tenant}/oauth2/v2.0/token": self._entra,
            "POST /token": self._key,
            "POST /v1/token": self._exchange,
            "POST /v1/projects/-/serviceAccounts/{account}": self._impersonate,
            "GET /": self._ping,
            "GET /computeMetadata/v1/{path:.*}": self._metadata,
        }

    def _token(self, **more: Any) -> dict[str, Any]:
        self.given += 1
        return {"access_token": f"{TOKEN}-{self.given}", "token_type": "Bearer", "expires_in": self.lasts, **more}

    async def _form(self, request: web.Request) -> dict[str, str]:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        return form

    # Azure

    def _machine(self, request: web.Request) -> Any:
        if request.headers.get("Metadata") != "true":
            raise Refused(400, {"error": "invalid_request", "error_description": "Required metadata header"})
        return self._azures(request)

    def _app_service(self, request: web.Request) -> Any:
        if request.headers.get("X-IDENTITY-HEADER") != SECRET:
            raise Refused(401, {"error": "invalid_client"})
        return self._azures(request)

    def _azures(self, request: web.Request) -> Any:
        if request.query.get("resource") != "https://storage.azure.com":
            raise Refused(400, {"error": "invalid_resource", "error_description": "AADSTS500011"})
        return self._token(expires_on=str(int(self.running()) + self.lasts), resource=request.query["resource"])

    def _discovery(self, request: web.Request) -> Any:
        at = f"https://login.microsoftonline.com/{request.match_info['tenant']}"
        return {
            "token_endpoint": f"{at}/oauth2/v2.0/token", "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
            "issuer": f"{at}/v2.0",
        }  # fmt: skip

    def _instances(self, _: web.Request) -> Any:
        entra = "login.microsoftonline.com"
        known = {"preferred_network": entra, "preferred_cache": "login.windows.net", "aliases": [entra]}
        return {"tenant_discovery_endpoint": f"https://{entra}/common/.well-known", "metadata": [known]}

    async def _entra(self, request: web.Request) -> Any:
        form = await self._form(request)
        if form.get("scope") != "https://storage.azure.com/.default" or request.match_info["tenant"] != TENANT:
            raise Refused(400, {"error": "invalid_scope", "error_description": "AADSTS70011"})
        if "client_assertion" in form and form["client_assertion"] != ASSERTION:
            said = f"AADSTS700212: No matching federated identity record found for {form['client_assertion']}"
            raise Refused(401, {"error": "invalid_client", "error_description": said})
        if "client_secret" in form and form["client_secret"] != SECRET:
            said = f"AADSTS7000215: Invalid client secret provided: {form['client_secret']}"
            raise Refused(401, {"error": "invalid_client", "error_description": said})
        if form["client_id"] != CLIENT:
            raise Refused(400, {"error": "unauthorized_client", "error_description": "AADSTS700016: not found"})
        return self._token(ext_expires_in=self.lasts)

    # Google

    async def _key(self, request: web.Request) -> Any:
        form = await self._form(request)
        try:
            jwt.decode(
                form["assertion"], self.public_key, algorithms=["RS256"], audience="https://oauth2.googleapis.com/token"
            )
        except jwt.InvalidTokenError as error:
            said = f"Invalid JWT Signature: {form['assertion']}"
            raise Refused(400, {"error": "invalid_grant", "error_description": said}) from error
        return self._token()

    async def _exchange(self, request: web.Request) -> Any:
        form = await self._form(request)
        if form["audience"] != AUDIENCE:
            said = f"Invalid value for audience, with {form['subject_token']}"
            raise Refused(400, {"error": "invalid_target", "error_description": said})
        if form["subject_token"] != ASSERTION:
            raise Refused(401, {"error": "invalid_grant", "error_description": form["subject_token"]})
        return self._token(issued_token_type="urn:ietf:params:oauth:token-type:access_token")

    async def _impersonate(self, request: web.Request) -> Any:
        if request.match_info["account"] != f"{ACCOUNT}:generateAccessToken":
            said = f"Permission iam.serviceAccounts.getAccessToken denied for {request.headers['Authorization']}"
            raise Refused(403, {"error": {"code": 403, "message": said, "status": "PERMISSION_DENIED"}})
        until = self.now().replace(microsecond=0).timestamp() + self.lasts
        made = self._token()
        return {"accessToken": made["access_token"], "expireTime": _instant(until)}

    def _ping(self, _: web.Request) -> Any:
        return web.Response(headers={"Metadata-Flavor": "Google"})

    def _metadata(self, request: web.Request) -> Any:
        if request.headers.get("Metadata-Flavor") != "Google":
            raise Refused(403, "Missing Metadata-Flavor")
        flavor = {"Metadata-Flavor": "Google"}
        match request.match_info["path"]:
            case "project/project-id":
                return web.Response(text="acme", headers=flavor)
            case "instance/service-accounts/default/":
                return web.json_response({"email": ACCOUNT, "scopes": [], "aliases": []}, headers=flavor)
            case path if path.endswith("/token"):
                return web.json_response(self._token(), headers=flavor)
        raise Refused(404, "not found")


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
