"""A bot on a machine without credentials, or without the library that finds them: what the doctor and the start say."""

from __future__ import annotations

import builtins
import os

import pytest
import yaml
from google.auth.compute_engine import _metadata

from bot.app.wiring import wired
from bot.config.load import load
from bot.core.evidence import Trouble
from bot.doctor import locks
from bot.doctor.check import CREDENTIALS, Level
from bot.errors import ConfigInvalid

BLOB = {"type": "azurerm", "storage_account": "acmetfstate", "container": "tfstate"}
CLOUD = {"type": "gcs", "bucket": "acme-tfstate"}
OTHERS = ("AWS_", "AZURE_", "GOOGLE_", "IDENTITY_", "MSI_", "GCE_")


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """An environment in which none of the clouds' libraries finds anything."""
    for name in [name for name in os.environ if name.startswith(OTHERS)]:
        monkeypatch.delenv(name)
    for name in ("HOME", "PATH", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(_metadata, "is_on_gce", lambda **_: False)
    return monkeypatch


@pytest.fixture
def config(tmp_path):
    def config(**backends):
        path = tmp_path / "tflock.yml"
        path.write_text(yaml.safe_dump({"states": {name: {"backend": each} for name, each in backends.items()}}))
        return load(path, {}, need_slack=False)

    return config


async def test_without_credentials_the_doctor_says_what_was_looked_for_and_what_to_set_and_of_no_right(
    nothing, config, tmp_path
):
    staging = {"type": "s3", "bucket": "acme-tfstate", "key": "a", "region": "eu-west-1", "use_lockfile": True}
    found = config(staging=staging, blob=BLOB | {"key": "a.tfstate"}, cloud=CLOUD)

    async with wired(found, f"unix://{tmp_path}/nothing") as wiring:
        results = await locks.checks(found, wiring)
        ((_, unseen),) = (await wiring.world.states["blob"].backend.read_lock()).unseen

    mine = {name: [one for one in results if one.area == name] for name in ("staging", "blob", "cloud")}
    for name, to_set in (("staging", "AWS_PROFILE"), ("blob", "sas_token_env"), ("cloud", "access_token_env")):
        (only,) = mine[name]
        assert (only.subject, only.level, only.fix, only.stops) == ("lock", Level.FAIL, CREDENTIALS, True)
        assert "credentials" in only.detail
        assert "tflock looked for" in only.detail
        assert to_set in only.detail
    watched = [one for one in results if one.area == "watch"]
    assert {(one.level, one.fix) for one in watched} == {(Level.WARN, CREDENTIALS)}
    assert unseen.trouble is Trouble.NO_CREDENTIALS


async def test_all_missing_libraries_are_one_answer_with_their_states_and_one_command(nothing, config, tmp_path):
    real, url = builtins.__import__, f"unix://{tmp_path}/nothing"

    def missing(name, *rest):
        if name.startswith(("azure", "google")):
            raise ImportError(name)
        return real(name, *rest)

    blobs = {f"blob-{number}": BLOB | {"key": f"{number}.tfstate"} for number in range(7)}
    found, given = config(**blobs, cloud=CLOUD), config(cloud=CLOUD)
    async with wired(found, url) as wiring:
        assert wiring.world.states.keys() == {*blobs, "cloud"}
    nothing.setattr(builtins, "__import__", missing)

    with pytest.raises(ConfigInvalid) as both:
        async with wired(found, url):
            pass
    with pytest.raises(ConfigInvalid) as one:
        async with wired(given, url):
            pass

    first, second, install = both.value.problems
    assert first.startswith("states.blob-0, states.blob-1, states.blob-2, states.blob-3, states.blob-4 and 2 more: ")
    assert (second.startswith("states.cloud: "), "google-auth" in second) == (True, True)
    assert install == 'install them with: pip install "tflock[azure,gcp]"'
    assert one.value.problems[-1] == 'install it with: pip install "tflock[gcp]"'
