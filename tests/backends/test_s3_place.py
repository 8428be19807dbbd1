from __future__ import annotations

import pytest

from bot.backends.s3.backend import S3Place


@pytest.mark.parametrize(
    ("workspace", "prefix", "state_key"),
    [
        ("default", "env:", "environments/staging/terraform.tfstate"),
        ("blue", "env:", "env:/blue/environments/staging/terraform.tfstate"),
        ("blue", "teams/platform", "teams/platform/blue/environments/staging/terraform.tfstate"),
        ("blue", "teams/", "teams/blue/environments/staging/terraform.tfstate"),
        ("blue", "", "blue/environments/staging/terraform.tfstate"),
    ],
)
def test_the_keys_of_a_workspace_are_terraforms(workspace, prefix, state_key):
    place = S3Place(
        bucket="acme-tfstate",
        key="environments/staging/terraform.tfstate",
        workspace=workspace,
        workspace_key_prefix=prefix,
    )

    assert place.state_key == state_key
    assert place.lock_key == f"acme-tfstate/{state_key}"
    assert place.digest_key == f"acme-tfstate/{state_key}-md5"
    assert place.lockfile_key == f"{state_key}.tflock"
