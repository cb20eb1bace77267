"""Personal data replaced before a language model sees it, and put back into what the model wrote.

Each value gets a stand-in that is the same through a run, such as ``EMAIL_1_KQZT``: the model can still tell two people
apart, and the note names them. The four letters are new for each run, so that no ticket can name a stand-in beforehand.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import phonenumbers

from aiops_core.errors import ConfigInvalid
from aiops_core.llm import Completion, CompletionRequest
from aiops_core.tickets import NoteDraft
from aiops_host.data.privacy import PersonalKind, Privacy

EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
CARD = re.compile(r"(?<![\d.-])[2-6]\d{3}(?:[ -]?\d){9,15}")
# Behind two pairs and their colons goes on what is a fingerprint rather than an address.
IP = re.compile(
    r"(?<![\w.])(?:(?:[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){1,6}:)?\d{1,3}(?:\.\d{1,3}){3}"
    r"|(?<![0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8})(?!\w|\.\d)"
)
LETTERS = 4
SHORTEST_IBAN = 15
SHORTEST_CARD = 13
MOST_TRIES = 2000
"""Runs of digits looked at for phone numbers in one text; a longer list is a dump, whose rest stays."""

Count = Callable[[PersonalKind, int], None]


class Found(NamedTuple):
    """A piece of personal data and where it stands."""

    start: int
    end: int
    kind: PersonalKind


def check(privacy: Privacy) -> None:
    """Refuse regions there are not.

    Raises:
        ConfigInvalid: The message names the region.
    """
    if unknown := [region for region in privacy.regions if region not in phonenumbers.SUPPORTED_REGIONS]:
        raise ConfigInvalid(f"regions: {unknown[0]!r} is no country's two letters, such as DE or US.")


def find(text: str, privacy: Privacy) -> list[Found]:
    """Return the personal data of the chosen kinds in its order.

    Each kind is looked for in what the kinds before it left: digits of an account's number and of a card's behind it can
    look like a third number.
    """
    found: list[Found] = []
    for kind, finder in FINDERS.items():
        if kind in privacy.kinds:
            found += finder(_without(text, found))
    if "phone" in privacy.kinds:
        found += _phones(_without(text, found), privacy)
    return sorted(set(found))


def _without(text: str, found: Iterable[Found]) -> str:
    """Return the text with what was found blanked."""
    for piece in found:
        text = f"{text[: piece.start]}{chr(10) * (piece.end - piece.start)}{text[piece.end :]}"
    return text


class Redactor:
    """The stand-ins of one run."""

    def __init__(self, privacy: Privacy, count: Count | None = None) -> None:
        """Take what to replace and what counts replacements."""
        self._privacy = privacy
        self._count = count or (lambda _kind, _many: None)
        self._mark = "".join(secrets.choice(string.ascii_uppercase) for _ in range(LETTERS))
        self._stand_ins: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._numbers: Counter[PersonalKind] = Counter()
        # Models escape underscores, and change the case of what stands in a title.
        self._pattern = re.compile(rf"\b(EMAIL|PHONE|IBAN|CARD|IP)\\?_(\d+)\\?_{self._mark}\b", re.IGNORECASE)

    def hidden(self, request: CompletionRequest) -> CompletionRequest:
        """Return the request with stand-ins in its messages and its evidence."""
        messages = tuple(msgspec.structs.replace(m, content=self.hide(m.content)) for m in request.messages)
        evidence = tuple(msgspec.structs.replace(e, **self._texts_of(e)) for e in request.evidence)
        return replace(request, messages=messages, evidence=evidence)

    def restored(self, completion: Completion) -> Completion:
        """Return the answer with the values in place of their stand-ins."""
        draft = msgspec.convert(self._restored(msgspec.to_builtins(completion.draft)), NoteDraft)
        return msgspec.structs.replace(completion, draft=draft)

    def hide(self, text: str) -> str:
        """Return the text with stand-ins."""
        pieces, last = [], 0
        for found in find(text, self._privacy):
            pieces += [text[last : found.start], self._stand_in(text[found.start : found.end], found.kind)]
            last = found.end
            self._count(found.kind, 1)
        return "".join([*pieces, text[last:]])

    def restore(self, text: str) -> str:
        """Return the text with the values; a stand-in nobody was given stays as it is."""
        return self._pattern.sub(lambda m: self._values.get(f"{m[1].upper()}_{m[2]}", m[0]), text)

    def _stand_in(self, value: str, kind: PersonalKind) -> str:
        if value not in self._stand_ins:
            self._numbers[kind] += 1
            name = f"{kind.upper()}_{self._numbers[kind]}"
            self._values[name] = value
            self._stand_ins[value] = f"{name}_{self._mark}"
        return self._stand_ins[value]

    def _texts_of(self, record: msgspec.Struct) -> dict[str, str]:
        values = {name: getattr(record, name) for name in ("title", "text", "resolution", "url")}
        return {name: self.hide(value) for name, value in values.items() if isinstance(value, str)}

    def _restored(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.restore(value)
        if isinstance(value, list | tuple):
            return [self._restored(item) for item in value]
        return {k: self._restored(v) for k, v in value.items()} if isinstance(value, dict) else value


def _emails(text: str) -> Iterator[Found]:
    yield from (Found(m.start(), m.end(), "email") for m in EMAIL.finditer(text))


def _checked(text: str, pattern: re.Pattern[str], kind: PersonalKind, holds: Callable[[str], bool]) -> Iterator[Found]:
    """Yield the longest beginnings of matches whose check digits hold; what follows may be another number's."""
    at = 0
    while match := pattern.search(text, at):
        ends = (end for end in range(match.end(), match.start(), -1) if not text[end : end + 1].isalnum())
        end = next((e for e in ends if holds(re.sub("[ -]", "", text[match.start() : e]))), None)
        if end is not None:
            yield Found(match.start(), end, kind)
        at = match.start() + 1 if end is None else end


def _is_iban(code: str) -> bool:
    moved = "".join(str(int(c, 36)) for c in code[4:] + code[:4])
    return len(code) >= SHORTEST_IBAN and int(moved) % 97 == 1


def _is_card(digits: str) -> bool:
    doubled = [int(d) * 2 - 9 * (d > "4") if n % 2 else int(d) for n, d in enumerate(reversed(digits))]
    return len(digits) >= SHORTEST_CARD and sum(doubled) % 10 == 0


def _ibans(text: str) -> Iterator[Found]:
    yield from _checked(text, IBAN, "iban", _is_iban)


def _cards(text: str) -> Iterator[Found]:
    yield from _checked(text, CARD, "card", _is_card)


def _addresses(text: str) -> Iterator[Found]:
    at = 0
    while match := IP.search(text, at):
        # A colon behind it may be the sentence's, and what stands before it a time or a word's end.
        said = next((s for s in (match[0], match[0].removesuffix(":")) if _is_address(s)), "")
        if said:
            yield Found(match.start(), match.start() + len(said), "ip")
        at = match.start() + (len(said) or 1)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phones(text: str, privacy: Privacy) -> Iterator[Found]:
    for region in privacy.regions or (None,):
        for match in phonenumbers.PhoneNumberMatcher(text, region, max_tries=MOST_TRIES):
            said = match.raw_string
            opened = said.startswith("(") and said.count("(") > said.count(")")
            yield Found(match.start + opened, match.end, "phone")


FINDERS: Mapping[PersonalKind, Callable[[str], Iterator[Found]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
}
