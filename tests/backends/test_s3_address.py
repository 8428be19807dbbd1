from __future__ import annotations

import pytest

from bot.aws.clients import Access
from bot.backends.s3.address import S3Address
from bot.backends.s3.layout import object_key


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
    key = object_key("environments/staging/terraform.tfstate", workspace=workspace, prefix=prefix)
    address = S3Address(Access(), "acme-tfstate", key)

    assert key == state_key
    assert address.lock_key == f"acme-tfstate/{state_key}"
    assert address.digest_key == f"acme-tfstate/{state_key}-md5"
    assert address.lockfile_key == f"{state_key}.tflock"
