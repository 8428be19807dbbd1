"""Types whose id in a log is not what `import` takes. Source: the *Import* section of each type's page in its provider.

Of every other type the id is taken: `terraform plan` says before anything is changed whether it was right.
"""

from __future__ import annotations

AGAIN = "it cannot be imported: let the next apply make it again"

_FORMS = {
    "aws_autoscaling_attachment": AGAIN,
    "aws_cloudwatch_event_target": "import takes EVENT_BUS/RULE/TARGET_ID",
    "aws_ecs_service": "import takes CLUSTER/SERVICE",
    "aws_ecs_task_definition": "import takes the ARN with its revision",
    "aws_iam_group_policy_attachment": "import takes GROUP/POLICY_ARN",
    "aws_iam_policy_attachment": AGAIN,
    "aws_iam_role_policy_attachment": "import takes ROLE/POLICY_ARN",
    "aws_iam_user_policy_attachment": "import takes USER/POLICY_ARN",
    "aws_iam_user_group_membership": "import takes USER/GROUP1/GROUP2",
    "aws_lambda_permission": "import takes FUNCTION/STATEMENT_ID",
    "aws_lb_target_group_attachment": AGAIN,
    "aws_alb_target_group_attachment": AGAIN,
    "aws_main_route_table_association": AGAIN,
    "aws_network_acl_rule": "import takes NETWORK_ACL:RULE_NUMBER:PROTOCOL:EGRESS",
    "aws_route": "import takes ROUTE_TABLE_DESTINATION",
    "aws_route_table_association": "import takes SUBNET_OR_GATEWAY/ROUTE_TABLE",
    "aws_security_group_rule": "import takes GROUP_TYPE_PROTOCOL_FROM_TO_SOURCE",
    "aws_volume_attachment": "import takes DEVICE:VOLUME:INSTANCE",
    "github_branch_protection": "import takes REPOSITORY:PATTERN",
    "helm_release": "import takes NAMESPACE/NAME",
    "local_file": AGAIN,
    "local_sensitive_file": AGAIN,
    "null_resource": AGAIN,
    "random_bytes": "import takes its value",
    "random_password": "import takes its value",
    "random_string": "import takes its value",
    "random_id": "import takes its base64 value",
    "random_integer": "import takes VALUE,MIN,MAX",
    "random_pet": AGAIN,
    "random_shuffle": AGAIN,
    "time_sleep": "import takes CREATE_DURATION,DESTROY_DURATION",
    "tls_cert_request": AGAIN,
    "tls_private_key": AGAIN,
    "tls_self_signed_cert": AGAIN,
}

VALUES = frozenset({"random_bytes", "random_id", "random_password", "random_string"})
"""Types whose id in a log is, or may be, their random value: it is shown to nobody."""


def why_no_import(kind: str) -> str:
    """Why there is no block for an object of a type whose id the log says; empty where there can be one."""
    return _FORMS.get(kind, "")
