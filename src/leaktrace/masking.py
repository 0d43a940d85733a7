"""Secrets in command lines and names: the part that is secret is masked before it enters a file or a report.

The patterns are compiled when the first text is looked at, not in every session of pytest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


MASK = "***"
_MOST_WORDS, _MOST_CHARACTERS = 1_000, 10_000
"""No more of a command line is shown, by far."""
_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[-_.]?key|access[-_.]?key|auth[-_.]?key|private[-_.]?key|"
    r"signing[-_.]?key|encryption[-_.]?key|account[-_.]?key|secret[-_.]?key|credentials?|authorization|cookie|jwt|sas|dsn"
)
_NAME = (
    rf"(?:[A-Za-z0-9]+[-_.])*(?:[A-Za-z0-9]*(?:password|passwd|secret|token|apikey)|{_WORDS})s?(?:[-_.][A-Za-z0-9]+)?"
)
_IS_NAME = rf"(?i)-{{0,2}}{_NAME}"
_LONGEST_NAME = 80
_NO_SECRET = r"(?i)(?-i:(?:OLD)?PWD)|.*[-_.](?:file|path|dir|folder|url|ttl|name|id|type|count|limit|stdin)"  # noqa: S105 - a pattern
"""Names that only look as if they were a secret's: the working directory, where one lies, what it is called."""

_SCHEME = r"(?<![A-Za-z0-9+.-])(?P<begin>[A-Za-z][A-Za-z0-9+.-]{0,30}://)"
_URL = rf"{_SCHEME}(?P<who>[^\s/?#@:]*):(?P<secret>[^\s/]*)@"
_URL_TOKEN = r"(?i)(?P<begin>https?://)(?P<secret>[^\s/?#@:]{16,})@"  # noqa: S105 - a pattern
_HEADER = (
    r"(?i)(?P<begin>\b(?:proxy-)?authorization['\"]?\s{0,8}[:=]\s{0,8}['\"]?(?:(?:bearer|basic|digest|token|negotiate|apikey)\s{1,8})?|"
    r"\bbearer\s{1,8})(?P<secret>[^\s'\"]{4,}|\S+(?=['\"]))"
)
_SUBJECT = r"(?<![\w.-])(?P<name>[\w.-]{1,80})"
_PAIR = rf"{_SUBJECT}['\"]?(?:\]?\s{{0,8}}(?:=|:(?!:))|\s{{0,8}},)\s{{0,8}}(?=[^\s&;,])"
_VALUE = r"\"[^\"]*\"?|'[^']*'?|[^\s&;,'\"]+"
_COOKIE = r"(?i)(?P<begin>\b(?:set-)?cookie:\s*)(?P<secret>[^'\"\n]+)"
_OPTION = rf"(?=-){_SUBJECT}\s{{1,8}}(?=[^\s-])"
_SHAPES = (
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|"
    r"sk-[\w-]{20,}|[sr]k_(?:live|test)_\w{16,}|pypi-[\w-]{20,}|npm_\w{20,}|hf_\w{20,}|AIza[\w-]{30,}|"
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
_PEM = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"

_MYSQL = r"(?:mysql|mariadb|mycli|percona)[\w-]*(?:\.exe)?"
_JOINED = {"sshpass": ("-p",), "7z": ("-p",), "7za": ("-p",), "redis-cli": ("-a",), "sqlcmd": ("-P",), "zip": ("-P",)}
"""Programs with the short options that a password follows, in the same word or in the next."""
_USERS = {
    "curl": ("-u", "--user", "--proxy-user", "-U"),
    "http": ("-a", "--auth"),
    "https": ("-a", "--auth"),
}
"""Programs with the options that take `user:password`."""
_PROGRAM = "|".join((_MYSQL, *_JOINED, *_USERS, "openssl"))
_CALLED = rf"(?i)(?<![\w.-])(?:{_PROGRAM})(?![\w-])"
_OPENSSL = r"(?P<begin>\b(?:pass|env):)(?P<secret>\S+)"


_BEFORE = tuple(vars(re).items())


def _is_patched() -> bool:
    """Whether a suite has left `re` patched: then nothing is shown, rather than a secret."""
    now = vars(re)
    return any(now.get(name) is not value for name, value in _BEFORE)


def masked_command(words: Sequence[str]) -> str:
    """A command line as one text, with its passwords, tokens and keys masked."""
    return " ".join(masked_words(words))


def masked_words(words: Sequence[str]) -> list[str]:
    """The same, word by word."""
    try:
        return [MASK] if words and _is_patched() else _masked_words(words)
    except Exception:  # noqa: BLE001 - what cannot be looked through is not shown
        return [MASK]


def masked(text: str) -> str:
    """A text (a line of a log, the name of a process) with what is surely a secret in it masked."""
    try:
        return MASK if text and _is_patched() else _masked(text)
    except Exception:  # noqa: BLE001 - as above
        return MASK


def _masked_words(words: Sequence[str]) -> list[str]:
    words = [word[:_MOST_CHARACTERS] for word in words[:_MOST_WORDS]]
    program = re.split(r"[/\\]", words[0])[-1] if words else ""
    shown: list[str] = []
    following = ""
    for word in words:
        if following:
            shown.append(_after(following, word))
            following = ""
            continue
        own, following = _word(program, word)
        shown.append(own)
    return shown


def _masked(text: str) -> str:
    text = _commands(re.sub(_PEM, MASK, text))
    text = re.sub(_URL, lambda found: f"{found['begin']}{found['who']}:{MASK}@", text)
    text = re.sub(_URL_TOKEN, lambda found: f"{found['begin']}{MASK}@", text)
    text = re.sub(_HEADER, lambda found: f"{found['begin']}{MASK}", text)
    text = re.sub(_COOKIE, lambda found: f"{found['begin']}{MASK}", text)
    text = _pairs(_OPTION, _pairs(_PAIR, text))
    return re.sub(_SHAPES, MASK, text)


def _commands(text: str) -> str:
    """A text in which a program is called whose options take a password, as `sh -c` has it, with that masked."""
    if not re.search(_CALLED, text):
        return text
    program = following = ""
    shown = []
    for word in re.split(r"(\s+|[|;&]+)", text):
        name = re.split(r"[/\\]", word)[-1]
        if not word.strip():
            own = word
        elif re.fullmatch(_CALLED, name):
            program, own, following = name, word, ""
        elif word[0] in "|;&":
            program, own, following = "", word, ""
        elif following:
            own, following = _after(following, word), ""
        else:
            own, following = _short(program, word) if program else (word, "")
        shown.append(own)
    return "".join(shown)


def _word(program: str, word: str) -> tuple[str, str]:
    """A word as it is shown, and what makes the next one a secret: `all` of it, or what follows the `user` in it."""
    shown, following = _short(program, word)
    if shown != word or following:
        return shown, following
    if word.startswith("-") and _is_secret(word):
        return word, "all"
    name, equals, value = word.partition("=")
    if equals and value and " " not in name and _is_secret(name):
        return f"{name}={MASK}", ""
    return _masked(word), ""


def _short(program: str, word: str) -> tuple[str, str]:
    """The same for an option that only this program has."""
    joined = ("-p",) if re.fullmatch(_MYSQL, program) and word != "-p" else _JOINED.get(program, ())
    for option in joined:
        if word.startswith(option):
            return (word, "all") if word == option else (f"{option}{MASK}", "")
    for option in _USERS.get(program, ()):
        if word.startswith(option):
            return (word, "user") if word == option else (f"{option}{_after('user', word[len(option) :])}", "")
    return (re.sub(_OPENSSL, lambda found: f"{found['begin']}{MASK}", word) if program == "openssl" else word), ""


def _after(following: str, word: str) -> str:
    """A word that an option has announced as a secret."""
    if following == "all":
        return MASK
    user, colon, secret = word.partition(":")
    return f"{user}:{MASK}" if colon and secret else word


def _is_secret(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and bool(re.fullmatch(_IS_NAME, name)) and not re.fullmatch(_NO_SECRET, name)


def _pairs(pattern: str, text: str) -> str:
    """Mask what stands behind the name of a secret; behind another name may stand the name of one."""
    subject, value_of, shown, at = re.compile(pattern), re.compile(_VALUE), [], 0
    while (found := subject.search(text, at)) is not None:
        shown.append(text[at : found.end()])
        at = found.end()
        if _is_secret(found["name"]) and (value := value_of.match(text, at)) is not None:
            shown.append(MASK)
            at = value.end()
    return "".join(shown) + text[at:]
