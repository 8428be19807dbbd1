"""Which states a message speaks of."""

import pytest

from bot.core.explain.states_named import states_spoken_of

STATES = ("prod", "prod-eu", "staging", "network/dns")
PATHS = {"acme/env/staging/terraform.tfstate": "staging", "acme/env/prod/terraform.tfstate": "prod"}
LOCKS = {"6f9f0e8e-7f3a-4c6d-9d3e-9a1f0d2b7c11": "prod-eu"}
ERROR = """
│ Error: Error acquiring the state lock
│ Lock Info:
│   ID:        {id}
│   Path:      {path}
│   Operation: OperationTypeApply
│   Who:       runner@fv-az1
"""


def spoken(text):
    return states_spoken_of(text, STATES, PATHS, LOCKS)


def test_the_path_of_a_pasted_lock_is_surest():
    text = ERROR.format(id="x", path="acme/env/staging/terraform.tfstate") + "and prod is next"
    assert spoken(text) == ["staging"]


def test_the_id_of_a_pasted_lock_tells_where_the_path_does_not():
    assert spoken(ERROR.format(id="6f9f0e8e-7f3a-4c6d-9d3e-9a1f0d2b7c11", path="elsewhere")) == ["prod-eu"]


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("is prod locked?", ["prod"]),
        ("is prod-eu locked?", ["prod-eu"]),
        ("staging, then prod.", ["staging", "prod"]),
        ("the lock of network/dns hangs.", ["network/dns"]),
        ("`staging` is stuck", ["staging"]),
        ("lock 6f9f0e8e-7f3a-4c6d-9d3e-9a1f0d2b7c11 again", ["prod-eu"]),
        ("production is a product", []),
        ("", []),
        ("(" * 5000, []),
    ],
)
def test_names_and_ids_count_where_they_stand_by_themselves(text, states):
    assert spoken(text) == states
