"""A model of what Terraform prints and of what carries it to a paste, written from Terraform's sources alone.

It knows no rule of `explain`: each message says what it is since the backend that prints it says it in that place.
`print_diagnostic` is `internal/command/format/diagnostic.go`, `lock_block` is `statemgr.LockInfo.String`.
"""

from __future__ import annotations

import base64
import html
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Carried = Callable[[str], str]


@dataclass(frozen=True)
class Lock:
    id: str = "6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42"
    path: str = "acme-tfstate/environments/staging/terraform.tfstate"
    operation: str = "OperationTypeApply"
    who: str = "runner@fv-az881-525"
    version: str = "1.11.4"
    created: str = "2026-11-21 22:41:43.311804893 +0000 UTC"
    info: str = ""


@dataclass(frozen=True)
class Message:
    """One diagnostic, and what it is. `lock` None: the answer must show none."""

    kind: str
    summary: str
    detail: str = ""
    lock: Lock | None = None


def lock_block(lock: Lock) -> str:
    return (
        f"Lock Info:\n  ID:        {lock.id}\n  Path:      {lock.path}\n  Operation: {lock.operation}\n"
        f"  Who:       {lock.who}\n  Version:   {lock.version}\n  Created:   {lock.created}\n  Info:      {lock.info}\n"
    )


def acquiring(
    kind: str, error: str, lock: Lock | None = None, *, shown: Lock | None = None, product: str = "Terraform"
) -> Message:
    """`LockErrorMessage` in command/clistate/state.go; `statemgr.LockError` joins the error and the lock info."""
    block = "".join(lock_block(each) for each in (shown or lock,) if each is not None)
    said = "\n".join(part for part in (error, block) if part)
    detail = (
        f"Error message: {said}\n\n{product} acquires a state lock to protect the state from being written\nby multiple users "
        "at the same time. Please resolve the issue above and try\nagain. For most commands, you can disable locking with the "
        '"-lock=false"\nflag, but this is not recommended.'
    )
    return Message(kind, "Error acquiring the state lock", detail, lock)


def releasing(error: str, lock: Lock | None = None, *, product: str = "Terraform") -> Message:
    """`UnlockErrorMessage` in the same file."""
    said = "\n".join(part for part in (error, lock_block(lock) if lock else "") if part)
    detail = (
        f"Error message: {said}\n\n{product} acquires a lock when accessing your state to prevent others\nrunning {product} to "
        "potentially modify the state at the same time. An\nerror occurred while releasing this lock. This could mean that the "
        "lock\ndid or did not release properly."
    )
    return Message("release failed", "Error releasing the state lock", detail, lock)


def unlocking(kind: str, error: str, lock: Lock | None = None) -> Message:
    """command/unlock.go: no diagnostic, one line and perhaps the lock info."""
    said = "\n".join(part for part in (error, lock_block(lock) if lock else "") if part)
    return Message(kind, f"Failed to unlock state: {said}", "", lock)


def saving(error: str) -> Message:
    """backend/local/backend_apply.go."""
    return Message("state not saved", "Failed to save state", f"Error saving state: {error}")


DDB = "operation error DynamoDB: {op}, https response error StatusCode: 400, RequestID: 1QAZ2WSX3EDC4RFV5TGB6YHN7UJM, "
S3 = "operation error S3: {op}, https response error StatusCode: {code}, RequestID: 8C1P0V2E3JBT3G4V, HostID: a+b/c=, "
GCS_LOCK = Lock(id="1780255882643033", path="gs://acme-tf/prod/default.tflock")
AZURE_LOCK = Lock(path="tfstate/prod.tfstate")
NO_PATH = Lock(path="")
HOST_LOCK = Lock(who="quinn@quinn-mac.local", operation="backend from plan")
TFLOCK = "environments/staging/terraform.tfstate.tflock"

MESSAGES = (
    # remote-state/s3
    acquiring("held lock", DDB.format(op="PutItem") + "ConditionalCheckFailedException: The conditional request failed", Lock()),
    acquiring(
        "held lock",
        S3.format(op="PutObject", code=412)
        + "api error PreconditionFailed: At least one of the pre-conditions you specified did not hold",
        HOST_LOCK,
        product="OpenTofu",
    ),
    acquiring(
        "throttled table",
        DDB.format(op="PutItem") + "api error ThrottlingException: Rate exceeded\nUnable to retrieve item from DynamoDB table "
        '"locks": ' + DDB.format(op="GetItem") + "RequestLimitExceeded: too fast",
    ),
    acquiring("access denied", DDB.format(op="PutItem") + "api error AccessDeniedException: User: arn:aws:sts::123456789012:x "),
    acquiring("expired credentials", S3.format(op="PutObject", code=400) + "api error ExpiredToken: The provided token has expired."),
    acquiring(
        "deadline exceeded",
        "operation error DynamoDB: PutItem, exceeded maximum number of attempts, 5, https response error StatusCode: 0, "
        'RequestID: , request send failed, Post "https://dynamodb.eu-west-1.amazonaws.com/": dial tcp: lookup '
        "dynamodb.eu-west-1.amazonaws.com: no such host",
    ),
    releasing("failed to delete the lock file: " + S3.format(op="DeleteObject", code=403) + "api error AccessDenied: Access Denied", Lock()),
    releasing(f"unable to retrieve file from S3 bucket 'acme-tfstate' with key '{TFLOCK}': context canceled", product="OpenTofu"),
    unlocking("wrong lock id", "lock ID '6f' does not match the existing lock ID '7b'"),
    unlocking("wrong lock id", 'lock id "6f" from s3 does not match existing lock', Lock()),
    unlocking("already unlocked", f"unable to retrieve file from S3 bucket 'acme-tfstate' with key '{TFLOCK}': " + S3.format(op="GetObject", code=404) + "NoSuchKey: "),
    unlocking("already unlocked", 'failed to retrieve lock info: no lock info found for: "acme/x" within the DynamoDB table: locks'),
    unlocking("throttled table", 'failed to retrieve lock info for lock ID "6f": ' + DDB.format(op="GetItem") + "ProvisionedThroughputExceededException: The level"),
    unlocking("access denied", f"unable to retrieve file from S3 bucket 'acme-tfstate' with key '{TFLOCK}': " + S3.format(op="GetObject", code=403) + "api error AccessDenied: Access Denied"),
    unlocking("expired credentials", 'failed to retrieve lock info for lock ID "6f": ' + DDB.format(op="GetItem") + "api error ExpiredTokenException: The security token"),
    unlocking("deadline exceeded", 'failed to retrieve lock info for lock ID "6f": operation error DynamoDB: GetItem, context deadline exceeded'),
    saving("failed to upload state: " + S3.format(op="PutObject", code=403) + "api error AccessDenied: Access Denied"),
    Message(
        "digest mismatch",
        "Error refreshing state: state data in S3 does not have the expected content.",
        "The checksum calculated for the state stored in S3 does not match the checksum\nstored in DynamoDB.",
    ),
    # remote-state/azure
    acquiring("held lock", "state blob is already locked", AZURE_LOCK),
    acquiring(
        "held lock",
        "executing request: unexpected status 409 (409 There is already a lease present.) with LeaseAlreadyPresent: There is "
        'already a lease present.\nRequestId:1\nTime:2026-11-21T22:41:43Z\nblob metadata "terraformlockid" was empty',
    ),
    acquiring("access denied", "executing request: unexpected status 403 (403 This request is not authorized to perform this operation.) with AuthorizationFailure"),
    acquiring("expired credentials", "obtaining token: AADSTS7000222: The provided client secret keys for app are expired."),
    unlocking("wrong lock id", 'lock id "6f" does not match existing lock', AZURE_LOCK),
    releasing("executing request: unexpected status 409 (409 The lease ID specified did not match the lease ID for the blob.)", AZURE_LOCK),
    saving("executing request: unexpected status 412 (412 There is currently a lease on the blob and no lease ID was specified in the request.)"),
    # remote-state/gcs
    acquiring(
        "held lock",
        'writing "gs://acme-tf/prod/default.tflock" failed: googleapi: Error 412: At least one of the pre-conditions you '
        "specified did not hold., conditionNotMet",
        GCS_LOCK,
    ),
    acquiring("access denied", 'writing "gs://acme-tf/prod/default.tflock" failed: googleapi: Error 403: ci@x does not have storage.objects.create access, forbidden'),
    acquiring("throttled table", 'writing "gs://acme-tf/prod/default.tflock" failed: googleapi: Error 429: The object exceeded the rate limit for object mutation operations, rateLimitExceeded'),
    unlocking("wrong lock id", "Lock ID should be numerical value, got '6638e4a0'"),
    unlocking("already unlocked", "storage: object doesn't exist"),
    saving("Failed to upload state to gs://acme-tf/prod/default.tfstate: googleapi: Error 503: Backend Error, backendError"),
    # remote-state/http
    acquiring("held lock", "HTTP remote state already locked: ID=6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42", NO_PATH),
    acquiring("held lock", "HTTP remote state already locked, failed to read body"),
    acquiring("expired credentials", "HTTP remote state endpoint requires auth"),
    acquiring("access denied", "HTTP remote state endpoint invalid auth"),
    acquiring("deadline exceeded", "Unexpected HTTP response code 502"),
    acquiring("throttled table", "Unexpected HTTP response code 429"),
    releasing("Unexpected HTTP response code 500"),
    saving("HTTP error: 409"),
    # remote-state/pg: the lock info is the asker's own
    acquiring("held lock", "Workspace is already locked: default", shown=NO_PATH),
    acquiring("held lock", "Already locked for workspace creation: prod", shown=NO_PATH),
    acquiring("access denied", "pq: permission denied for table states", shown=NO_PATH),
    acquiring("expired credentials", 'pq: password authentication failed for user "tf"', shown=NO_PATH),
    acquiring("deadline exceeded", "dial tcp 10.0.0.5:5432: connect: connection refused"),
    # cloud, backend/remote: so is HCP's
    acquiring("held lock", 'workspace already locked (lock ID: "acme/production")', shown=NO_PATH),
    acquiring("expired credentials", "unauthorized"),
    unlocking("wrong lock id", 'lock ID "6f" does not match existing lock ID "acme/production"'),
    unlocking("already unlocked", "workspace already unlocked"),
    unlocking("held lock", "unable to unlock workspace locked by run"),
    saving("Error uploading state: conflict"),
    # remote-state/consul
    acquiring("held lock", "", Lock(path="terraform/prod", info="consul session: 1515d81e")),
    acquiring("held lock", 'state "terraform/prod" already locked'),
    acquiring("deadline exceeded", "Unexpected response code: 500 (No cluster leader)"),
    acquiring("access denied", "Unexpected response code: 403 (Permission denied)"),
    Message("digest mismatch", "Error refreshing state: The remote state does not match the expected hash"),
    saving("consul CAS failed with transaction errors: [0xc42022c280]"),
    releasing("consul lock was lost"),
    # remote-state/kubernetes
    acquiring("held lock", "the state is already locked by another terraform client", NO_PATH),
    acquiring("access denied", 'leases.coordination.k8s.io is forbidden: User "ci" cannot create resource "leases" in API group "coordination.k8s.io"'),
    acquiring("expired credentials", "Unauthorized"),
    unlocking("already unlocked", "state is already unlocked"),
    # the clouds of Tencent (cos), Alibaba (oss) and Oracle (oci)
    acquiring("held lock", "lock file prod/terraform.tfstate.tflock exists", Lock(id="0cc175b9c0f1b6a831c399e269772661", path="prod/terraform.tfstate.tflock")),
    unlocking("wrong lock id", "lock id mismatch, 0cc1 != 92eb", Lock(path="prod/terraform.tfstate.tflock")),
    unlocking("already unlocked", "lock file prod/terraform.tfstate.tflock not exists"),
    acquiring("held lock", 'invoking PutRow got an error: &tablestore.OtsError{Code:"OTSConditionCheckFail", Message:"Condition check failed.", HttpStatusCode:403}', Lock(path="acme/prod.tfstate")),
    Message("digest mismatch", "Error refreshing state: state data in OSS does not have the expected content."),
    acquiring("held lock", "Error returned by ObjectStorage Service. Http Status Code: 412. Error Code: IfNoneMatchFailed. Opc request id: x. Message: The If-None-Match", Lock(path="prod.tfstate.lock")),
    acquiring("expired credentials", "Error returned by ObjectStorage Service. Http Status Code: 401. Error Code: NotAuthenticated. Opc request id: x."),
    # states/statemgr/filesystem.go
    acquiring("held lock", "resource temporarily unavailable", Lock(path="terraform.tfstate")),
    acquiring("held lock", "The process cannot access the file because another process has locked a portion of the file.", Lock(path="terraform.tfstate")),
    unlocking("wrong lock id", 'invalid lock id: "6f". current id: "7b"'),
    # backend/local/backend_local.go, command/meta_dependencies.go
    Message("stale plan", "Saved plan is stale", "The given plan file can no longer be applied because the state was changed by another operation after the plan was created."),
    Message("another kind of lock", "Inconsistent dependency lock file", "The following dependency selections recorded in the lock file are inconsistent with the current configuration:"),
    # plugin/grpc_error.go
    Message("interrupted", "Plugin did not respond", "The plugin encountered an error, and failed to respond to the plugin6.(*GRPCProvider).ApplyResourceChange call. The plugin logs may contain more details."),
    Message("interrupted", "rpc error: code = Canceled desc = context canceled"),
    # providers
    Message("rate limit", "API Error: 429 - Rate limit exceeded the maximum [300] requests within [60] seconds", "  with genesyscloud_user.a,"),
    Message("rate limit", "reading EC2 Instances: operation error EC2: DescribeInstances, https response error StatusCode: 503, api error RequestLimitExceeded: Request limit exceeded."),
    Message("expired credentials", "API Error: 401 - No authentication bearer token specified in authorization header."),
    Message("expired credentials", "configuring Terraform AWS Provider: no valid credential sources for Terraform AWS Provider found."),
    Message("access denied", "googleapi: Error 403: Required 'compute.networks.create' permission for 'projects/acme', forbidden"),
    Message("drift or dependency conflict", "creating IAM Role (ci): operation error IAM: CreateRole, https response error StatusCode: 409, api error EntityAlreadyExists: Role with name ci already exists."),
    Message("drift or dependency conflict", "API Error: 409 - The queue name is already in use."),
    Message("deadline exceeded", "waiting for RDS DB Instance (db) create: timeout while waiting for state to become 'available' (last state: 'creating', timeout: 40m0s)"),
    Message("unknown", "Unsupported argument", 'An argument named "lock" is not expected here.'),
    Message("unknown", "Invalid index", "The given key does not identify an element in this collection value."),
    Message("unknown", "creating EC2 Instance: VcpuLimitExceeded: You have requested more vCPU capacity than your current limit"),
    acquiring("unknown", DDB.format(op="PutItem") + "ResourceNotFoundException: Requested resource not found"),
)  # fmt: skip


def print_diagnostic(message: Message, width: int = 78) -> str:
    """A diagnostic in its frame: lines that begin with a blank are not wrapped, and no word is broken."""
    if message.summary.startswith("Failed to unlock"):
        return message.summary
    lines = [*textwrap.wrap(f"Error: {message.summary}", width, break_long_words=False, break_on_hyphens=False), ""]
    for line in message.detail.split("\n"):
        whole = line.startswith(" ") or not line
        lines += [line] if whole else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(["╷", *(f"│ {line}" for line in lines), "╵"])


def print_plain(message: Message) -> str:
    """Without colours, as in a log: no frame, and nothing is wrapped."""
    if message.summary.startswith("Failed to unlock"):
        return message.summary
    return f"\nError: {message.summary}\n\n{message.detail}\n" if message.detail else f"\nError: {message.summary}\n"


def print_narrow(message: Message) -> str:
    return print_diagnostic(message, width=48)


def print_coloured(message: Message) -> str:
    framed = print_diagnostic(message).split("\n")
    if len(framed) < 3:
        return framed[0]
    return "\n".join(f"\x1b[31m{line[:1]}\x1b[0m\x1b[0m{line[1:]}\x1b[0m" for line in framed)


def print_json(message: Message) -> str:
    """Source: views/json/diagnostic.go."""
    if message.summary.startswith("Failed to unlock"):
        return message.summary
    head = {"@level": "error", "@message": f"Error: {message.summary}", "@module": "terraform.ui"}
    diagnostic = {"severity": "error", "summary": message.summary, "detail": message.detail}
    at = "2026-11-21T22:50:00.000000Z"
    return json.dumps({**head, "@timestamp": at, "diagnostic": diagnostic, "type": "diagnostic"})


PRINTS = (print_diagnostic, print_plain, print_narrow, print_coloured, print_json)


def _each(before: Callable[[int], str]) -> Carried:
    return lambda text: "\n".join(f"{before(number)}{line}" for number, line in enumerate(text.split("\n")))


def _clock(number: int, form: str = "2026-11-21T22:50:{:02}.{:07}Z") -> str:
    return form.format(number % 60, (number * 7919 + 13) % 9_999_999)


PREFIXES: Mapping[str, Carried] = {
    "none": lambda text: text,
    "github": _each(lambda n: f"{_clock(n)} "),
    "github error": _each(lambda n: "##[error]"),
    "gh run view": _each(lambda n: f"apply\tTerraform Apply\t{_clock(n)} "),
    "azure": _each(lambda n: f"{_clock(n)} ##[error]"),
    "gitlab": _each(lambda n: f"{_clock(n, '2026-11-21T22:50:{:02}.{:06}Z')} 01O "),
    "jenkins": _each(lambda n: f"[{_clock(n, '2026-11-21T22:50:{:02}.{:03}Z')[:23]}Z] "),
    "jenkins branch": _each(lambda n: "[apply-eu] "),
    "jenkins clock": _each(lambda n: f"22:50:{n % 60:02}  "),
    "terragrunt": _each(lambda n: f"22:50:{n % 60:02}.{n * 37 % 1000:03} STDERR [network/vpc] terraform: "),
    "terragrunt old": _each(lambda n: "[network/vpc] "),
    "compose": _each(lambda n: "terraform-1  | "),
    "kubectl": _each(lambda n: "[pod/tf-6965b5fbc-cvzn6/terraform] "),
    "cri": _each(lambda n: f"{_clock(n, '2026-11-21T22:50:{:02}.{:09}Z')} stderr F "),
    "codebuild": _each(lambda n: f"[Container] 2026/11/21 22:50:{n % 60:02}.{n * 7919 % 999999:06} "),
    "aws logs": _each(lambda n: f"2026-11-21T22:50:{n % 60:02}.{n * 7919 % 999999:06}+00:00 tf/tf/5fd5fbea7bd839ee "),
    "syslog": _each(lambda n: f"Nov 21 22:50:{n % 60:02} build-4 terraform[2124]: "),
    "journald": _each(lambda n: f"Nov 21 22:50:{n % 60:02} ip-10-0-0-1 atlantis[1]: "),
    "quoted": _each(lambda n: "> "),
    "diff": _each(lambda n: "+ "),
    "numbered": _each(lambda n: f"{n + 95:4}: "),
    "logrus": lambda text: "\n".join(f"INFO[{n:04}] {line:<60}  app=deploy std=err" for n, line in enumerate(text.split("\n"))),
    "markdown": lambda text: f"Somebody broke this:\n```\n{text}\n```",
    "spacelift": _each(lambda n: f"[01HXYZ{n:02}] "),
    "buildkite": _each(lambda n: "_bk;t=1700000000000\x07"),
    "indented": _each(lambda n: "      "),
    "bamboo": _each(lambda n: f"error\t21-Nov-2026 22:50:{n % 60:02}\t"),
    "teamcity": _each(lambda n: f"[22:50:{n % 60:02}]E:\t [Step 2/3] "),
    "octopus": _each(lambda n: f"22:50:{n % 60:02}   Error    |       "),
    "airflow": _each(lambda n: f"[2026-11-21, 22:50:{n % 60:02} UTC] {{subprocess.py:93}} INFO - "),
    "cloud build": _each(lambda n: 'Step #2 - "tf apply": '),
    "log4j": _each(lambda n: f"22:50:{n % 60:02}.123 [main] ERROR c.a.Deploy - "),
    "python": _each(lambda n: f"2026-11-21 22:50:{n % 60:02},{n * 37 % 1000:03} - deploy - ERROR - "),
    "klog": _each(lambda n: f"E1121 22:50:{n % 60:02}.123456       1 runner.go:110] "),
    "rfc 5424": _each(lambda n: f"<131>1 2026-11-21T22:50:{n % 60:02}.003Z host tf 2124 ID47 - "),
    "stern": _each(lambda n: "tf-apply-x7k9d terraform "),
    "grep": _each(lambda n: f"job.log:{n + 100}:"),
    "provisioner": _each(lambda n: "null_resource.tf (local-exec): "),
}  # fmt: skip


def _docker(text: str) -> str:
    return "\n".join(
        json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2026-11-21T22:50:00Z"})
        for line in text.split("\n")
    )


def _cloudwatch(text: str) -> str:
    return json.dumps(
        {"events": [{"timestamp": 1790000000000, "message": line} for line in text.split("\n")]}, indent=2
    )


def _python_bytes(text: str) -> str:
    return f"subprocess.CalledProcessError: Command failed: {text.encode()!r}"


CARRIERS: Mapping[str, Callable[[str], bytes]] = {
    "text": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "utf-8 with mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "utf-16 without mark": lambda text: text.encode("utf-16-le"),
    "read as windows-1252": lambda text: text.encode().decode("cp1252", "replace").encode(),
    "read as latin-1": lambda text: text.encode().decode("latin-1").encode(),
    "read as code page 437": lambda text: text.encode().decode("cp437").encode(),
    "escapes lost": lambda text: text.replace("\x1b", "\ufffd").encode(),
    "escapes gone": lambda text: text.replace("\x1b", "").encode(),
    "escapes in letters": lambda text: text.replace("\x1b", "\\033").encode(),
    "one json string": lambda text: json.dumps({"status": "failed", "reason": f"Error in step\n{text}"}).encode(),
    "json string of ascii": lambda text: json.dumps(text).encode(),
    "docker": lambda text: _docker(text).encode(),
    "cloudwatch": lambda text: _cloudwatch(text).encode(),
    "workflow command": lambda text: ("::error::" + text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")).encode(),
    "slack": lambda text: html.escape(text, quote=False).encode(),
    "html": lambda text: f"<pre>{html.escape(text)}</pre>".encode(),
    "html breaks": lambda text: html.escape(text).replace("\n", "<br>").encode(),
    "rsyslog": lambda text: ("Nov 21 22:50:01 build-4 ci: " + text.replace("\n", "#012").replace("\x1b", "#033")).encode(),
    "html paragraphs": lambda text: "".join(f"<p>{html.escape(line)}</p>" for line in text.split("\n")).encode(),
    "blank lines between": lambda text: text.replace("\n", "\n\n").encode(),
    "bold head": lambda text: text.replace("Error: ", "**Error:** ", 1).encode(),
    "logfmt": lambda text: ("level=error msg=" + json.dumps(text, ensure_ascii=False)).encode(),
    "json in json": lambda text: json.dumps({"message": json.dumps({"msg": text})}).encode(),
    "padded": lambda text: "\n".join(line.ljust(120) for line in text.split("\n")).encode(),
    "python bytes": lambda text: _python_bytes(text).encode(),
}  # fmt: skip

BEFORE = (
    "",
    "cat > backend.tf <<EOF\nterraform {}\nEOF\n",
    "Acquiring state lock. This may take a few moments...\naws_instance.a: Refreshing state... [id=i-1]\n",
    'aws_x.lock: Still creating... [10s elapsed]\n  + body = "statusCode: 429"\n',
    "curl: (28) Operation timed out after 3000 milliseconds\n",
)
AFTER = (
    "",
    "\nReleasing state lock. This may take a few moments...\n",
    "\nError: Process completed with exit code 1.\n",
    "\n[terragrunt] 2026/11/21 22:50:00 exit status 1\nmake: *** [apply] Error 1\n",
    "\nERROR: script returned exit code 1\nFinished: FAILURE\n",
)


def as_item(lock: Lock) -> str:
    """What `aws dynamodb scan` prints of a lock."""
    created = lock.created.replace(" +0000 UTC", "Z").replace(" ", "T")
    info = {"ID": lock.id, "Operation": lock.operation, "Info": lock.info, "Who": lock.who}
    info |= {"Version": lock.version, "Created": created, "Path": lock.path}
    return json.dumps({"Items": [{"LockID": {"S": lock.path}, "Info": {"S": json.dumps(info)}}]})


def as_metadata(lock: Lock) -> str:
    """What azurerm keeps with the blob."""
    info = {"ID": lock.id, "Operation": lock.operation, "Info": "", "Who": lock.who, "Version": lock.version}
    info |= {"Created": lock.created.replace(" +0000 UTC", "Z").replace(" ", "T"), "Path": lock.path}
    return f'"terraformlockid": "{base64.b64encode(json.dumps(info, separators=(",", ":")).encode()).decode()}"'
