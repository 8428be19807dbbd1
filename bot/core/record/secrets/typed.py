"""Passwords on a command line, by the clients' own manuals.

A row has the commands, a word that has to be in the line with them, if any, and the pattern. Its group `keep` stays.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from bot.core.record.secrets.marking import Spans, has_any, marked_by
from bot.core.record.secrets.values import MARK, PROSE, STAYS, WORD, any_of

_GAP = r"[ ]*+(?:\\\n[ ]*+)?"
_V = rf"""(?!["']?(?:{STAYS}))(?:(?<=[\s=A-Za-z,%:])(?:"[^"\n]++"|'[^'\n]++')|(?:[^\s"';|&<>`\[]++|{MARK})++)"""
_USER = rf"""["']?[^\s"':\[]{{0,80}}+:)(?!{STAYS}){WORD}"""


_FLAGS = r"(?:-[\w-]{1,40}+(?:=\S{1,200}+)?[ ]+){0,6}+"


class Row(NamedTuple):
    commands: str
    needs: str
    pattern: str


ROWS = (
    Row("curl", "", rf"(?P<keep>[ ](?:-[A-Za-z]{{0,6}}?[uU]|--user|--proxy-user)=?{_GAP}{_USER}"),
    Row("curl", "", r"""(?P<keep>[ ](?:-b|--cookie)[ ]["']?)(?!\[cookie)[^\s"'=]{1,80}+=[^\n"']++"""),
    Row("http https xh", "", rf"(?P<keep>[ ](?:-a|--auth)[ =]{_GAP}{_USER}"),
    Row("ab", "", rf"(?P<keep>[ ]-[AP]{_GAP}{_USER}"),
    Row("jenkins-cli.jar jenkins-cli", "", rf"(?P<keep>[ ]-auth[ ]{_GAP}{_USER}"),
    Row("skopeo podman buildah oras", "", rf"(?P<keep>--(?:src-|dest-)?creds[ =]{_GAP}{_USER}"),
    Row("lftp", "", rf"(?P<keep>[ ]-u[ ]{_GAP}[^\s,]{{1,80}}+,){_V}"),
    Row("smbclient rpcclient smbmap", "", rf"""(?P<keep>[ ]-U{_GAP}["']?[^\s%"']{{1,80}}+%)[^\s"'\[]++"""),
    Row("docker podman buildah skopeo nerdctl helm crane oras az oc cf ibmcloud", "login",
        rf"(?P<keep>[ ]-p=?{_GAP}){_V}"),
    Row("sshpass mysql mysqldump mysqladmin mysqlimport mysqlsh mariadb mariadb-dump 7z 7za", "",
        rf"(?P<keep>[ ]-p){_V}"),
    Row("sshpass mongo mongosh mongodump mongorestore mongoexport twine psexec ncftp", "",
        rf"(?P<keep>[ ]-p[ ]{_GAP}){_V}"),
    Row("sqlcmd bcp osql isql tsql unzip zip ipmitool", "", rf"(?P<keep>[ ]-P{_GAP}){_V}"),
    Row("redis-cli redis-benchmark", "", rf"(?P<keep>[ ]-a[ ]{_GAP}){_V}"),
    Row("ldapsearch ldapmodify ldapadd ldapwhoami ldappasswd", "", rf"(?P<keep>[ ]-w{_GAP}){_V}"),
    Row("openssl", "", rf"""(?P<keep>[ ]-[kK][ ]{_GAP}|["' ]pass:){_V}"""),
    Row("plink pscp psftp xfreerdp", "", rf"(?P<keep>[ ](?:-pw[ ]|/p:){_GAP}){_V}"),
    Row("glab doctl circleci", "auth setup", rf"(?P<keep>[ ](?:-t|--access-token)[ ]{_GAP}){_V}"),
    Row("gh glab", "secret", rf"(?P<keep>[ ](?:-b|--body)[ =]?{_GAP}){_V}"),
    Row("nuget dotnet", "push", rf"(?P<keep>[ ](?:-k|-ApiKey)[ ]{_GAP}){_V}"),
    Row("aws", "SecureString", rf"(?P<keep>[ ]--value[ =]{_GAP}){_V}"),
    Row("az", "keyvault", rf"(?P<keep>[ ]--value[ =]{_GAP}){_V}"),
    Row("kubectl oc", "secret", rf"(?P<keep>--from-literal[ =][\"']?[\w.-]{{1,80}}+=){_V}"),
    Row("vault cargo snyk", "login unseal auth",
        rf"(?P<keep>[ ](?:login|unseal|auth)[ ]{_GAP}{_FLAGS})(?!-|[^\s=]{{1,40}}=)"
        rf"(?=\S{{16}}|[^\s\d]{{0,15}}\d){_V}"),
    Row("vault", "login",
        rf"(?P<keep>\A[^\n$#%]{{0,60}}[$#%][ ]vault[ ]login[ ]{_FLAGS})(?!-|[^\s=]{{1,40}}=|{PROSE}){_V}(?=\s*+\Z)"),
    Row("mc", "set", rf"(?P<keep>[ ]set[ ][\w-]{{1,40}}+[ ]\S{{1,100}}+[ ]\S{{1,100}}+[ ]){_V}"),
    Row("htpasswd", "",
        rf"(?P<keep>[ ](?=(?s:.){{0,399}}+\Z)-[a-zA-Z]{{0,4}}?b[a-zA-Z]{{0,4}}[ ](?:\S{{1,200}}+[ ]){{1,2}})"
        rf"{_V}(?=\s*+\Z)"),
    Row("docker podman nerdctl helm gh glab oras passwd", "stdin with-token",
        rf"(?P<keep>(?:echo|printf|<<<)[ ]++(?:-[neE]{{1,3}}[ ]++)?(?:[\"']?%s[\"']?[ ]++)?){_V}"),
    Row("sudo", "-S", rf"(?P<keep>(?:echo|printf|<<<)[ ]++(?:-[neE]{{1,3}}[ ]++)?(?:[\"']?%s[\"']?[ ]++)?){_V}"),
    Row("sqlplus sqlldr expdp impdp", "", r"""(?P<keep>[ ][\w.$#]{1,40}+/)(?!\[)[^\s@/"']{3,100}+(?=@|\s|\Z)"""),
    Row("chpasswd", "", r"""(?P<keep>(?:echo|printf|<<<)[ ]++(?:-[neE]{1,3}[ ]++)?["']?[\w.$-]{1,40}+:)[^\s"'$\[]++"""),
)  # fmt: skip

_NEEDS = tuple(tuple(row.needs.split()) for row in ROWS)
_ROWS_OF: dict[str, list[int]] = {}
for _number, _row in enumerate(ROWS):
    for _name in _row.commands.split():
        _ROWS_OF.setdefault(_name, []).append(_number)
_NAMES = sorted(_ROWS_OF, key=len, reverse=True)
_COMMAND = re.compile(rf"(?:{any_of(' '.join(map(re.escape, _NAMES)))})(?=(?:\.exe)?(?:[\s\"'|;)]|\Z))")
"""A command, unless it ends a longer word: looked at afterwards, so that the search has a set of first letters."""
_IN_WORD = re.compile(r"[\w.-]")
_LINE = re.compile(r"[^\n\\]*+(?:\\.[^\n\\]*+)*+", re.DOTALL)
"""A line of a shell, which continues behind a backslash at its end."""

_CALLS = (
    " -",
    " login",
    "unseal",
    " set ",
    "pass:",
    "<<<",
    "chpasswd",
    " /p:",
    " auth",
    "sqlplus ",
    "sqlldr ",
    "expdp ",
    "impdp ",
)


def without_typed(text: str) -> str:
    """The text without the passwords in its command lines."""
    if " " not in text or not has_any(_CALLS, text):
        return text
    done, place, start, seen = list[str](), 0, 0, dict[str, str]()
    while found := _COMMAND.search(text, start):
        start = found.end()
        if _ends_word(found):
            continue
        begin = text.rfind("\n", place, found.start()) + 1 or place
        line = _LINE.match(text, begin)
        end = line.end() if line and line.end() > found.end() else found.end()
        typed = text[begin:end]
        if typed not in seen:
            seen[typed] = _without(typed)
        done += (text[place:begin], seen[typed])
        place = start = end
    return "".join([*done, text[place:]]) if done else text


def _ends_word(found: re.Match[str]) -> bool:
    return _IN_WORD.match(found.string, found.start() - 1) is not None if found.start() else False


def _without(line: str) -> str:
    commands = set[str]()
    for found in _COMMAND.finditer(line):
        if found[0] not in commands and not _ends_word(found):
            commands.add(found[0])
    for number in sorted({number for name in commands for number in _ROWS_OF[name]}):
        needs = _NEEDS[number]
        if not needs or has_any(needs, line):
            line = marked_by(line, line, _pattern(number), _behind_what_stays)
    return line


@cache
def _pattern(number: int) -> re.Pattern[str]:
    """A row's pattern, made where its command comes first: all of them take a tenth of a second."""
    return re.compile(ROWS[number].pattern, re.VERBOSE | re.IGNORECASE)


def _behind_what_stays(_: str, found: re.Match[str]) -> Spans:
    return [(found.end("keep"), found.end(), "[password removed]")]
