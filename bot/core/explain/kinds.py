"""What each error of Terraform's is, by its own text: one table, the first row that fits decides. Pure.

Texts are compared in lower case and on one line. Sources are Terraform's files below `internal/` (OpenTofu has the same
words unless it is named), the SDKs of the clouds, and the providers' own errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from bot.core.aws_codes import Meaning, codes_for
from bot.core.joblog.ends import says_lost


class ErrorKind(StrEnum):
    """What a pasted error can be, the most dangerous first. The first four outrank all others, in this order."""

    NOT_SAVED = "state not saved"
    DIGEST = "digest mismatch"
    RELEASE_FAILED = "release failed"
    INTERRUPTED = "interrupted"
    OWN_ORPHAN = "own orphan"
    HELD = "held lock"
    WRONG_LOCK_ID = "wrong lock id"
    ALREADY_UNLOCKED = "already unlocked"
    THROTTLED = "throttled table"
    EXPIRED = "expired credentials"
    DENIED = "access denied"
    DEADLINE = "deadline exceeded"
    STALE_PLAN = "stale plan"
    OTHER_LOCK = "another kind of lock"
    RATE_LIMIT = "rate limit"
    CONFLICT = "drift or dependency conflict"
    UNKNOWN = "unknown"


class About(Enum):
    """What an error is about, by what Terraform was doing."""

    SAVE = auto()
    DIGEST = auto()
    RELEASE = auto()
    FORCE_UNLOCK = auto()
    LOCK = auto()
    STORE = auto()
    PROVIDER = auto()


@dataclass(frozen=True, slots=True)
class KindRow:
    """One row: an error `about` one of these, whose text has one of `says`, is of this kind."""

    kind: ErrorKind
    about: frozenset[About]
    says: tuple[str, ...]


def _phrases(lines: str) -> tuple[str, ...]:
    """One phrase between two bars; the lines are of one source each."""
    return tuple(phrase.strip() for line in lines.strip().splitlines() for phrase in line.split("|"))


def _codes(*meanings: Meaning) -> tuple[str, ...]:
    return tuple(code.lower() for meaning in meanings for code in codes_for(meaning))


def _status(*numbers: int) -> tuple[str, ...]:
    """HTTP statuses, as `classify` finds them next to a word that says that they are one."""
    return tuple(f"«{number}»" for number in numbers)


_END_OF_REFUSAL = _phrases('acquires a state lock to protect the state | disable locking with the "-lock=false"')
"""The end of Terraform's error, which is all that a paste of a screen's end may have of it."""

_ABOUT: tuple[tuple[About, tuple[str, ...]], ...] = (
    # backend/local/backend_apply.go, command/{taint,state_rm,state_push,import}.go, `Put` in remote-state/*/client.go
    (
        About.SAVE,
        _phrases("""
        failed to save state | failed to persist state | errored.tfstate | error saving state: | error persisting state
        error saving the state | failed to write state | error writing state | error uploading state
        failed to upload state | consul cas failed | record of any resources created during this apply
        """),
    ),
    # the checksums of remote-state/{s3,oss,cos}/client.go, and the hash of consul/client.go
    (
        About.DIGEST,
        _phrases("""
        does not have the expected content | checksum calculated for the state stored
        remote state does not match the expected hash | checksum mismatch,
        """),
    ),
    # command/clistate/state.go; remote-state/*/backend_state.go, where a new state could not be unlocked
    (
        About.RELEASE,  # the last one ends the error, and is all that a paste of a screen's end may have of it
        _phrases("error releasing the state lock | error unlocking | error occurred while releasing this lock"),
    ),
    # command/unlock.go; the rest is what only its backends say there
    (
        About.FORCE_UNLOCK,
        _phrases("""
        failed to unlock state | failed to retrieve lock info | failed to retrieve s3 lock info
        failed to retrieve lock information | localstate not locked | state is already unlocked
        workspace already unlocked | local state cannot be unlocked by another process | unable to unlock workspace
        """),
    ),
    # Atlantis has locks of its own: server/events/{working_dir,project}_locker.go
    (About.PROVIDER, _phrases("is currently locked by another command | is currently locked by an unapplied plan")),
    # command/clistate/state.go, command/meta_backend*.go, `Lock` in remote-state/*/{backend_state,client}.go, cloud/
    (
        About.LOCK,
        (
            *(
                f"failed to lock {name}state"
                for name in ("", "s3 ", "azure ", "gcs ", "cos ", "oss ", "oci ", "inmem ")
            ),
            *(f"failed to lock {name} state" for name in ("manta", "swift", "etcd", "pg", "kubernetes", "consul")),
            *_phrases("""
            error acquiring the state lock | error locking state | error locking source state | state lock
            error locking destination state | error locking workspace | lock info: | .tflock
            state blob is already locked | remote state already locked | workspace already locked
            workspace is already locked | already locked for workspace creation | workspace is currently locked
            state is already locked by another | lock timeout exceeded, sending interrupt | manually locked workspace
            the workspace is locked | this workspace is locked | workspace is locked by | workspace locked by
            workspace was locked | already has a lock on state file
            """),
            *_END_OF_REFUSAL,
        ),
    ),
    # command/{init_run,output,state_*}.go, remote-state/*/backend*.go
    (
        About.STORE,
        _phrases("""
        error refreshing state | error loading state | failed to load state | error loading the remote state
        failed to refresh | failed to read remote state | unable to retrieve item from dynamodb table
        failed to get existing workspaces | error inspecting states | error configuring s3 backend
        error configuring the backend | unable to list objects in s3 bucket | unable to access object
        failed to open state file | failed to read state file | remote state endpoint | error retrieving state
        failed to retrieve workspace
        """),
    ),
)
"""The first that fits. An error of which nothing of this is known is a provider's."""

_THROTTLED = (
    # two of the codes are words of everyday English, too
    *(code for code in _codes(Meaning.THROTTLED) if code not in {"throttled", "throttling"}),
    *_phrases("""
    throttlingexception | throttledexception | throttlingerror | throttling: | throughput exceeds the current capacity
    rate exceeded | too many requests | reduce your request rate | ratelimitexceeded | rate limit | rate-limit
    serverbusy | the server is busy | quota exceeded for quota metric | otscapacityunitexhausted | otsserverbusy
    """),
    *_status(429),
)
_EXPIRED = (
    *(code for code in _codes(Meaning.NOT_ACCEPTED) if code not in {"invalidtoken", "invalidsignature"}),
    *_phrases("""
    requestexpired | security token included in the request is | provided token has expired | invalidtoken:
    authfailure
    nocredentialproviders | no valid credential | failed to refresh cached credentials | no valid providers in chain
    refresh cached sso token failed | sso session | invalidgrantexception | token has expired | no ec2 imds role found
    failed to retrieve credentials | unable to locate credentials | invalididentitytoken | idptokenexpired
    get identity: get credentials | failed to get shared config profile | sso token | tokenrefreshrequired
    aadsts | az login | could not acquire access token | expiredauthenticationtoken | invalidauthenticationtoken
    server failed to authenticate the request | token expiry | unable to build authorizer
    obtaining authorization token
    authenticationfailed | azurecredential | credential authentication failed | could not configure azurecli authorizer
    invalid_grant | invalid_rapt | reauth related | could not find default credentials | oauth2: cannot fetch token
    oauth2: token expired | oauth2/google: | invalid authentication credentials | unauthenticated
    storage.newclient() failed
    access_token_expired | credentials_missing | load application default credentials | notauthenticated
    endpoint requires auth | must be logged in | asked for the client to provide credentials
    password authentication failed | no pg_hba.conf entry | acl not found | securitytokenexpired | invalidsecuritytoken
    required token could not be found | invalid or expired token | terraform login | invalid_client | bad credentials
    bad.credentials | authentication.required | no authentication bearer token | credentials have expired
    credentials are expired | credentials expired | token is expired | token expired | token is invalid
    unauthorized (401)
    : unauthorized | 401 unauthorized
    """),
    *_status(401),
)
_DENIED = (
    *_codes(Meaning.DENIED),
    *_phrases("""
    not authorized to perform | unauthorizedoperation | explicit deny
    authorizationpermissionmismatch | authorizationfailed | authorizationfailure | does not have authorization
    keybasedauthenticationnotpermitted | insufficientprivileges | insufficient privileges
    does not have storage. | permission_denied | does not have permission | insufficient permission
    required permission
    endpoint invalid auth | is forbidden | forbidden: | error: forbidden | : forbidden | 403 forbidden
    permission denied
    notauthorizedornotfound | you have no right | missing permission | missing.permission | read-only file system
    missing any of the required permissions | missing the following permission | not.authorized | is not authorized
    """),
    *_status(403),
)
_NO_ANSWER = (
    *_phrases("""
    context deadline exceeded | deadline exceeded | deadlineexceeded | i/o timeout | tls handshake | timed out
    client.timeout exceeded | requesttimeout | request send failed | send request failed | connection reset
    broken pipe | unexpected eof | : eof | no such host | connection refused | no route to host | dial tcp
    network is unreachable | giving up after | request canceled while waiting | statuscode: 0,
    internalservererror | internal server error | internalerror | serviceunavailable | service unavailable
    bad gateway | gateway timeout | gateway time-out | exceeded maximum number of attempts | operationtimedout
    timeout while waiting | could not connect | unable to connect to the server | server closed the connection
    no cluster leader | bad connection | client connection lost | closed network connection | in the time allotted
    temporary failure in name resolution | database system is starting up
    """),
    *_status(408, 500, 502, 503, 504),
)
_TAKEN = (
    *_codes(Meaning.CONDITION_FAILED),
    *_phrases("""
    conditional request failed | pre-conditions you specified did not hold | precondition failed | conditionnotmet
    state blob is already locked | leasealreadypresent | already a lease present | leaseidmissing
    currently a lease on the blob | remote state already locked | locked by another terraform client
    locked by another opentofu client | operation cannot be fulfilled on leases | leases.coordination.k8s.io "lock-
    workspace already locked | workspace is already locked | already locked for workspace creation
    workspace is currently locked | lock timeout exceeded, sending interrupt | manually locked workspace
    resource temporarily unavailable | has locked a portion of the file | is being used by another process
    the workspace is locked | this workspace is locked | workspace is locked by | workspace locked by
    workspace was locked | already has a lock on state file
    otsconditioncheckfail | condition check failed | ifnonematchfailed | if-none-match | .tflock exists
    tencentcloud-terraform-lock | conditionalrequestconflict | state is already locked | already locked by
    " already locked
    """),
    *_status(412, 423),
)
"""The store refused the lock since there is one."""

_GONE = (
    *_phrases("""
    unexpected end of json input | nosuchkey | no such object | object doesn't exist | objectnotfound
    localstate not locked | state is already unlocked | workspace already unlocked | no lock info found | not exists
    blobnotfound | specified blob does not exist | is not locked | not currently locked | no lock found
    """),
    *_status(404),
)
"""For force-unlock: no lock was found."""

_NO_PLACE = _phrases(
    "nosuchbucket | bucket does not exist | containernotfound | resourcenotfoundexception | nosuchtable"
)
"""Where the lock would be is not there: that says nothing of the lock."""

_OTHER_LOCKS = _phrases("""
    dependency lock file | the lock file is read-only | dependency changes detected | .terraform.lock.hcl
    failed to lock dependencies | provider lock file | locked provider registry
    any of the checksums previously recorded
    incomplete lock file | lock file information
    is locked by | --forceunlock | flow is locked | flow.locked | locked by another user | locked by pull | locked by pr
    could not get lock | unable to acquire the dpkg | unable to lock the administration directory | dpkg/lock
    holding the yum lock | rpm.lock | index.lock | shallow.lock | unable to acquire lock on | acquire file lock
    another operation (install/upgrade/rollback) is in progress | has no deployed releases | currently locked by
    lock wait timeout | deadlock detected | deadlock found | could not obtain lock on | lock timeout
    canceling statement due to lock | database is locked | scopelocked | scope is locked | are locked: '/sub
    lien to prevent | object lock | objectlock | cannot store lock item | lock already acquired by
    stack is locked | stack is currently locked | apply commands are locked | resource is locked | resourcelocked
    """)
_BROKEN_OFF = _phrases("""
    operation canceled | operation cancelled | code = canceled | context canceled | transport is closing
    plugin did not respond | failed to respond to the | request was cancelled | request cancelled | plugin crashed
    signal: killed | signal: terminated | signal: interrupt | execution halted | connection is shut down
    error reading from server: eof | plugin exited before | unexpected exit of plugin
    """)
"""A provider that was killed or told to stop (plugin/grpc_error.go), or a command (command/meta.go)."""

_CONFLICTS = (
    *_phrases("""
    dependencyviolation | deleteconflict | resourceinuse | conflictexception | has a dependent object
    has dependent object | alreadyexists | already exists | already exist | alreadyownedbyyou | already owned by you
    in use by | is in use | still in use | already in use | currently in use | being used by
    changed outside of | produced inconsistent | nosuchentity | notfoundexception | notfound: | .notfound
    resourcenotfound | cannot be found | could not be found | couldn't find resource | .duplicate
    bucketnotempty | is not empty | resource already managed | preconditionfailed | anotheroperationinprogress
    invalid new value | unexpected new value | incorrectstate | has been modified | version conflict | versionconflict
    concurrentmodification | cannot be deleted | referenced by | operationaborted | already associated
    already attached
    """),
    *_status(404, 409, 412),
)

_GRAVE = frozenset({About.SAVE, About.DIGEST, About.RELEASE})
_LOCKS = frozenset({About.LOCK, About.FORCE_UNLOCK})
_STORES = _LOCKS | {About.STORE}
_PROVIDER = frozenset({About.PROVIDER})
_FORCE_UNLOCK = frozenset({About.FORCE_UNLOCK})

TABLE: tuple[KindRow, ...] = (
    KindRow(ErrorKind.NOT_SAVED, frozenset({About.SAVE}), ("",)),
    KindRow(ErrorKind.DIGEST, frozenset({About.DIGEST}), ("",)),
    KindRow(ErrorKind.RELEASE_FAILED, frozenset({About.RELEASE}), ("",)),
    # azurerm cannot force-unlock a lease whose metadata is empty: `Unlock` in remote-state/azure/client.go
    KindRow(
        ErrorKind.RELEASE_FAILED,
        _FORCE_UNLOCK,
        _phrases(
            'metadata "terraformlockid" was empty | failed to delete lock info from metadata | when releasing lease'
        ),
    ),
    # `Unlock` in remote-state/*/client.go, states/statemgr/filesystem.go, backend/remote/backend_state.go
    KindRow(
        ErrorKind.WRONG_LOCK_ID,
        _FORCE_UNLOCK,
        (
            *_phrases("""
            does not match existing lock | does not match the existing lock | does not match current lock
            from s3 does not match | invalid lock id | lock id mismatch | should be numerical value
            leaseidmismatch | did not match the lease id | conditionnotmet | lock id does not match | strconv.parseint
            """),
            *_status(409, 412, 423),
        ),
    ),
    KindRow(ErrorKind.HELD, _FORCE_UNLOCK, ("unable to unlock workspace locked by",)),
    KindRow(ErrorKind.OTHER_LOCK, _PROVIDER, _OTHER_LOCKS),
    # backend/local/backend_local.go
    KindRow(
        ErrorKind.STALE_PLAN,
        _PROVIDER | _STORES,
        _phrases(
            "saved plan is stale | saved plan does not match the given state | plan file can no longer be applied"
        ),
    ),
    KindRow(ErrorKind.INTERRUPTED, _PROVIDER, _BROKEN_OFF),
    KindRow(ErrorKind.DENIED, frozenset({About.LOCK}), ("is forbidden: user",)),  # kubernetes names the lease there
    KindRow(ErrorKind.HELD, frozenset({About.LOCK}), _TAKEN),
    KindRow(ErrorKind.INTERRUPTED, _STORES, _phrases("context canceled | operation canceled | signal: killed")),
    KindRow(ErrorKind.THROTTLED, _STORES, _THROTTLED),
    KindRow(ErrorKind.EXPIRED, _STORES, _EXPIRED),
    KindRow(ErrorKind.DENIED, _STORES, _DENIED),
    KindRow(ErrorKind.EXPIRED, _STORES, ("unauthorized",)),  # HCP's whole answer
    KindRow(ErrorKind.UNKNOWN, _FORCE_UNLOCK, _NO_PLACE),
    KindRow(ErrorKind.ALREADY_UNLOCKED, _FORCE_UNLOCK, _GONE),
    KindRow(ErrorKind.DEADLINE, _STORES, _NO_ANSWER),
    KindRow(ErrorKind.RATE_LIMIT, _PROVIDER, _THROTTLED),
    KindRow(ErrorKind.EXPIRED, _PROVIDER, _EXPIRED),
    KindRow(ErrorKind.DENIED, _PROVIDER, _DENIED),
    KindRow(ErrorKind.CONFLICT, _PROVIDER, _CONFLICTS),
    KindRow(ErrorKind.DEADLINE, _PROVIDER, _NO_ANSWER),
)
"""From top to bottom. A lock that could not be read is never "gone": why it could not be read comes before that."""

_REASONS = tuple(row for row in TABLE if About.FORCE_UNLOCK in row.about and row.kind is not ErrorKind.RELEASE_FAILED)

_STATUS = re.compile(
    r"\b(?:status ?code|status|http(?:/[0-9.]{1,3})?|error|code|http response code)[:= ]{0,3}\(?([1-5][0-9]{2})\b"
    r"|\b([45][0-9]{2}) (?:too many|error\b|unauthori[sz]ed|forbidden|conflict|not found|bad gateway|service unavail)"
)
_WRAPPERS = _phrases("""
    exit code | exit status | exited with code | has finished with an error | command failed | failed running terraform
    failed with exit | non-zero exit | encountered the following errors | errors occurred while running | the process '
    command returned
    """)
"""What a CI or Terragrunt says when Terraform has failed, whatever the reason."""

_ASKERS = _phrases("""
    workspace is already locked | already locked for workspace creation | workspace already locked | pq:
    error locking workspace | unable to unlock workspace | failed to unmarshal body | failed to read body
    """)
"""pg and HCP keep no lock info, and a server may answer with what cannot be read: they show whose request it was."""


def about(text: str, *, has_lock: bool = False) -> About:
    """What an error is about. One that shows a lock is about the lock, if nothing else is known of it."""
    found = (what for what, says in _ABOUT if _says(says, text))
    return next(found, About.LOCK if has_lock else About.PROVIDER)


def classify(text: str, *, has_lock: bool, has_head: bool = True) -> ErrorKind:
    """The kind of an error, by its own text. Without a head the text may be anything, and numbers in it say nothing."""
    what = about(text, has_lock=has_lock)
    if has_lock and what in {About.LOCK, About.STORE} and not shows_the_asker(text):
        return ErrorKind.HELD  # the lock was read, whatever became of the request before
    full = with_statuses(text) if has_head or what is not About.PROVIDER else text
    if not has_head and what not in _GRAVE and is_healthy(text) and not _says(_END_OF_REFUSAL, text):
        return ErrorKind.UNKNOWN  # a plan lists what is in a script, too
    found = next((row.kind for row in TABLE if what in row.about and _says(row.says, full)), ErrorKind.UNKNOWN)
    # of an error whose beginning was cut off: the run that prints its end was refused the lock
    is_end = found is ErrorKind.UNKNOWN and not has_head and _says(_END_OF_REFUSAL, text)
    return ErrorKind.HELD if is_end else found


def reason(text: str) -> ErrorKind | None:
    """Why the store did not do what it was asked, where the error's kind is another matter; None if it is not known."""
    full = with_statuses(text)
    return next((row.kind for row in _REASONS if _says(row.says, full)), None)


def with_statuses(text: str) -> str:
    """The text with its HTTP statuses behind it, marked as such."""
    return f"{text} {' '.join(f'«{found[1] or found[2]}»' for found in _STATUS.finditer(text))}"


def _says(says: Iterable[str], text: str) -> bool:
    return any(said in text for said in says)


def shows_the_asker(text: str) -> bool:
    """Whether a lock info in this error is of the one who asked for the lock, and not of its holder."""
    return _says(_ASKERS, text)


def is_healthy(text: str) -> bool:
    """Whether a log shows a run that went well, and nothing that failed."""
    return _WENT_WELL.search(text) is not None and _WENT_WRONG.search(text) is None


_WENT_WELL = re.compile(
    r"(?:apply|destroy) complete! resources|\bno changes\. |\bplan: [0-9]+ to |successfully initialized"
    r"|(?:releasing|acquiring) state lock\. this may|successfully unlocked"
)
_WENT_WRONG = re.compile(r"\berror:|\berror (?:[a-z]+ing|occurred)|\bfailed\b|\bfailure\b|\bdenied\b|exit code [1-9]")


def is_empty(text: str) -> bool:
    """Whether a checksum was calculated of nothing: the store has no such state any more, or an empty one."""
    return _OF_NOTHING.search(text) is not None


_OF_NOTHING = re.compile(
    r"calculated checksum: *(?:stored checksum|d41d8cd98f00b204e9800998ecf8427e|$)"
    r"|to the following value: *(?:$|d41d8cd98f)"
)


def says_unsaved(line: str) -> bool:
    """Whether a line outside of Terraform's errors says that there is a state that was not saved."""
    low = line.lower()
    return _UNSAVED.search(low) is not None and _DENIED_OR_ASKED.search(low) is None


_UNSAVED = re.compile(
    r"(?:state push (?:-[\w=-]{1,40} ){0,4}|(?:wrote|written|saved|left|found|have|has|got|kept|copied|uploaded|"
    r"uploading|downloaded|there is|there's)\b[^.!?]{0,60}[\s\"'`/])[\"'`]?(?:[\w./-]{0,200}/)?errored\.tfstate\b"
    r"|(?:^|\s)-[rwx.@+-]{9,11}\s.{0,100}\berrored\.tfstate$|^(?:[\w./-]{1,60}\s+){0,20}errored\.tfstate(?:\s+[\w./-]{1,60}){0,20}$"
    r"|errored\.tfstate[\"'`]? (?:exists|is there|was (?:left|written|found|saved)|in the current working directory)"
)
_DENIED_OR_ASKED = re.compile(
    r"\b(?:no|not|never|without|nothing|none|any|if|whether|should|would|cannot|could)\b|n't\b|\?"
)


def is_wrapper(text: str) -> bool:
    """Whether this only says that Terraform failed."""
    return _says(_WRAPPERS, text)


GRAVE = tuple(said for what, says in _ABOUT if what in _GRAVE for said in says)
"""In lower case: an error that outranks a later one has one of them."""

_ENDS = _phrases("""
    interrupt received | two interrupts received | gracefully shutting down | terraform crash | opentofu crash
    [signal sig | received interrupt | signal: killed | signal: terminated | signal: interrupt | transport is closing
    operation was cancel | operation will be cancel | job was cancel | run was cancel | step was cancel
    build was cancel
    workflow was cancel | exceeded the maximum execution time | has timed out after | shutdown signal
    ran longer than the maximum time | job was abandoned
    execution took longer than | job failed: cancel | the timeout was exceeded | stuck_or_timeout_failure
    cancelling nested steps | build timed out | build_timed_out | aborted by | sending interrupt signal
    build was aborted
    timeout has been exceeded | superseded by # | build terminated | flowinterruptedexception | force-cancel
    task has timed out | task was cancel | canceled externally | job failed: aborted
    oomkilled | outofmemoryerror | code=killed | received sigterm | exceeded memory limit | was evicted
    evicted the pod
    too long with no output | received 'killed' signal | received "killed" signal | killed due to memory
    task stopped by | job was active longer than | spot instance interruption | spot interruption
    host is being terminated
    run timed out | run was discarded | reached the timeout | timed out waiting for the job | job timed out
    exceeded build time limit | exceeded the time limit | time limit exceeded
    no output has been received in the last | build has been terminated
    segmentation fault (core | stopped by the user | worker was terminated | worker crashed | runner failure
    """)
"""Terraform's own words (command/views/operation.go, logging/panic.go), then those of the CI systems' runners."""

_LOST_SIGNS = _phrases("""
    communication with | stopped hearing | system failure | touching the log | jenkins-48300 | marked offline
    never started | interrupt signal | cannot contact | channel | did not stop | exit code - | was deleted
    being removed | went offline | remote call on | lost connection to | has become unresponsive | lost contact
    agent was lost | agent lost
    """)
_BARE_ENDS = frozenset({"killed", "terminated", "aborted", "killed: 9", "terminated: 15", "interrupted", "canceled"})
_EXITS = re.compile(
    r"\bexit(?:ed)?(?: with)?[ _-]?(?:code|status)?\"?[:=]? {0,8}[('\"]{0,2}"
    r"(?:130|134|137|139|143|3221225786|-1073741510)\b"
    r"|^make(?:\[[0-9]{1,3}\])?: \*\*\* (?:.{0,200} error (?:130|137|143)$|.{0,200} (?:killed|terminated|interrupt)$)"
    r"|\bline [0-9]{1,6}: {1,4}[0-9]{1,8} (?:killed|terminated|aborted)\b"
)
SIGNS = (*_ENDS, *_LOST_SIGNS, *_BARE_ENDS, "panic: ", "fatal error", "exit", "*** [")
"""In lower case: a line that says that a run was broken off has one of them."""


def is_broken_off(line: str) -> bool:
    """Whether a line says that a run was broken off: interrupted, killed, crashed, timed out or lost."""
    low = line.lower()
    return (
        _says(_ENDS, low)
        or low.rstrip(".") in _BARE_ENDS
        or low.startswith(("panic: ", "fatal error: "))
        or is_lost(line)
        or (_EXITS.search(low) is not None and "running command" not in low and "provisioner" not in low)
    )


def is_lost(line: str) -> bool:
    """Whether only a server says that the run ended: then its process may still be running."""
    return says_lost(line) or is_away(line) or _says(_LOST, line.lower())


_LOST = ("lost connection to", "has become unresponsive", "agent was lost", "agent lost")


def is_away(line: str) -> bool:
    """Whether a server lost contact that may have come back."""
    return _says(("cannot contact ", "lost contact"), line.lower())
