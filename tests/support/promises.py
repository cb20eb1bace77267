"""What is promised and what is defended, and the tests that say they prove it; writes ``docs/promises.md``.

A test names what it proves: ``@pytest.mark.promise("one-note")`` or ``@pytest.mark.attack(8)``, each with an optional
``figure``, the number of cases it tries. The page is made from these markers by ``python -m tests.support.promises``.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"


class Promise(NamedTuple):
    """Something a user may rely on, and where it ends. ``figure`` was measured by a benchmark, with its command."""

    text: str
    limit: str
    figure: str = ""


class Attack(NamedTuple):
    """One of the attacks on tenants, secrets and tickets, and what stands against it."""

    name: str
    defence: str


class Mark(NamedTuple):
    """A test that says what it proves. ``of`` is ``attack`` or ``promise``."""

    of: str
    id: str
    test: str
    behaviour: str
    figure: str


PROMISES: Mapping[str, Promise] = {
    "committed-before-2xx": Promise(
        "A webhook that was answered 202 is committed in PostgreSQL.",
        "PostgreSQL's own durability: `synchronous_commit` stays on, and backups are the operator's.",
        "0 lost of 10,000 under random faults (`python -m benchmarks.faults`, see [reliability](reliability.md))",
    ),
    "one-note": Promise(
        "One webhook leads to one note, however often it is sent and whatever dies in between.",
        "A ticketing tool that cannot look for its notes parks a doubtful write for a person. "
        "[Reliability](reliability.md) names the windows that remain.",
        "0 doubled of 10,000 under random faults (`python -m benchmarks.faults`)",
    ),
    "tenants-apart": Promise(
        "No tenant reads or changes another tenant's rows, by whatever route, id, statement or fault.",
        "Whoever owns the PostgreSQL server, or its superuser, reads everything but sealed secrets.",
    ),
    "routes-ask": Promise(
        "Every route asks for a permission of one table; a route without one is refused to everybody.",
        "Health checks, the API's description, the login and webhooks are public; webhooks prove their sender.",
    ),
    "secrets-sealed": Promise(
        "Credentials, webhook secrets and keys of models are stored sealed, bound to tenant, owner, name and version.",
        "Whoever has both the database and the key file has the secrets.",
    ),
    "secrets-nowhere-else": Promise(
        "No credential, key, password or token shows in logs, traces, metrics, answers, dumps or pages, whatever fails.",
        "What is shown once when it is made; the plaintext is in a process's memory for one call.",
    ),
    "keys-change-online": Promise(
        "The key, and every data key, is changed while everything runs; killed at any step, every secret still opens.",
        "A backup from before older keys were retired has no readable secrets. Without the key provider secrets open for "
        "five minutes.",
        "0 repeated pairs of key and nonce in 1,000,000 seals (`python benchmarks/seals.py`)",
    ),
    "sender-proven": Promise(
        "A webhook counts only with a proof over its raw bytes, or its secret header, by a live secret of its endpoint.",
        "Jira signs no time: a replay is known by its ticket, kind and revision instead.",
    ),
    "sessions": Promise(
        "A session's cookie is out of reach of scripts and other sites; a session ends at logout, after idling and at its limit.",
        "Whoever takes over a person's browser has their session until it ends.",
    ),
    "roles-now": Promise(
        "A change of what a person may do counts at once: their sessions end, and the last administrator stays.",
        "A request that is being answered at that moment is answered.",
    ),
    "tokens-bounded": Promise(
        "An API token is never worth more than its owner is now, nor than it was made for, and opens no other door.",
        "Whoever has a token has it until it expires or is revoked.",
    ),
    "codes-once": Promise(
        "Where a person has a second factor a password alone opens nothing, and a code opens one session.",
        "Who logs in through a provider is asked there. An administrator of the platform can remove a second factor.",
    ),
    "links-once": Promise(
        "An invitation or a link for a new password works once, until it expires, and never for somebody else's account.",
        "Without a mail server whoever asked for the link sees it, and hands it on.",
    ),
    "provider-trusted-for-its-word": Promise(
        "Through a login provider come only people who are known or invited, with an address it has verified.",
        "Whoever runs the provider can log in as anybody it vouches for.",
    ),
    "page-runs-no-text": Promise(
        "No text from a ticket, note, name or error runs in the dashboard.",
        "A browser without support for content security policies has the dashboard's own escaping only.",
    ),
    "rate-limits": Promise(
        "An address or a tenant that asks the API too often is told when to come again, and others are not slowed down.",
        "Per process, which is one for HTTP; webhooks are not limited, their work is shared out fairly instead. "
        "Behind a proxy `AIOPS_TRUSTED_PROXIES` has to name it.",
    ),
    "slow-senders": Promise(
        "A request whose head or body stalls is closed, and heads, bodies and connections are bounded.",
        "2,000 connections at a time; beyond them a reverse proxy helps.",
    ),
    "audit-whole": Promise(
        "Administrative acts are kept in an append-only trail, and an entry that was changed, removed or added is found.",
        "Whoever owns the database can write a whole chain anew; a head noted elsewhere shows it. "
        "A process that is killed loses the decryptions of its last second.",
    ),
    "logins-in-the-trail": Promise(
        "Each login, and each refused one with whom it was tried for, from where and why, is in the audit trail; what was "
        "typed is not.",
        "Like refusals are counted in two entries a minute, and a flood's beyond ten kinds in one; a process that is killed "
        "loses the counts of its last minute. Refused API tokens and ended sessions are not in it.",
    ),
    "model-has-no-hands": Promise(
        "Whatever a ticket makes a model say, it reads no other tenant, calls no tool and writes no link or claimed deed.",
        "What the model says about the ticket itself may be wrong or rude; the note is internal and says what wrote it.",
    ),
    "api-does-not-break": Promise(
        "No request and no webhook body, however odd, is answered with a server error; answers fit the API's description.",
        "While PostgreSQL is away the answer is 503 with Retry-After.",
    ),
    "personal-data": Promise(
        "A tenant may have e-mail and IP addresses, phone, card and account numbers replaced before a model sees them; "
        "the note has them again.",
        "Names and free text are not recognised. What a person writes in other ways passes.",
    ),
    "tenant-gone": Promise(
        "A deleted tenant leaves no row but its audit trail, and none of its secrets opens again, in no backup either.",
        "A copy of the key file from before the deletion still opens a backup from before it.",
    ),
    "export-whole": Promise(
        "An export holds every row of its tenant, nobody else's, and no secret in whatever form.",
        "Rows that are written while it is made may be in it or not. One that breaks off is no archive: it does not open.",
    ),
    "suspension": Promise(
        "Nothing is taken up for a suspended tenant, and none of its webhooks is lost.",
        "What a worker works on already ends by itself.",
    ),
    "secret-overlap": Promise(
        "A replaced webhook secret counts until its overlap ends, two at most, and not a moment longer.",
        "A change of the overlap reaches other processes of the host within a minute.",
    ),
    "networks": Promise(
        "Where networks are listed for a webhook address, a webhook from elsewhere is refused, whatever it proves.",
        "Behind a proxy `AIOPS_TRUSTED_PROXIES` has to name it. A change reaches other processes within a minute.",
    ),
    "refusals-explained": Promise(
        "The last twenty webhooks an address refused are explained, with names of headers and no value of anything.",
        "Like ones within a second are counted in one; a process that is killed loses its last second.",
    ),
    "own-key": Promise(
        "A provider sees the key of the tenant whose ticket it is asked about, on every path, and goes to no other host.",
        "A key the operator granted is the operator's. Whoever runs the worker can read what it opens.",
    ),
    "key-tried": Promise(
        "A key is used only after one real call with it went well; else one sentence says why, and it is destroyed.",
        "The operator's commands may skip the test.",
    ),
    "budget-holds": Promise(
        "Runs side by side never use more of a budget than it allows, and the note says when it is used up.",
        "A provider that charges for more tokens than were sent and allowed exceeds it by that much, once.",
    ),
    "budget-mailed-once": Promise(
        "With a mail server each administrator of a tenant gets one mail when a budget reaches 80 %, and one at its end.",
        "Once per budget and period. A mail that a worker dies over is not sent again, one the mail server took without "
        "saying so is; after six tries within half an hour it is given up.",
    ),
    "failover": Promise(
        "When a provider fails the next one is asked; one that keeps failing is left out for that tenant and tried again.",
        "Each worker finds out for itself, and forgets when it ends.",
    ),
    "onboarding-as-written": Promise(
        "The onboarding page leads from an empty installation to the first note as it stands, each of its three ways.",
        "Tried with a simulated Jira and a stand-in for a model's server.",
    ),
    "plugins-gated": Promise(
        "A plugin that brings a `.pth` file is refused, and every installed distribution is listed in a bill of materials.",
        "An installed plugin runs with the host's rights: installing one is trusting it.",
    ),
}

ATTACKS: Mapping[int, Attack] = {
    1: Attack("A pooled connection carries the tenant before", "the tenant is local to a transaction; the pool resets"),
    2: Attack("`SET ROLE` or a setting survives release", "one pool per role, no `SET ROLE`, reset at every release"),
    3: Attack(
        "The application connects with too much right", "a check at start that refuses owners, superusers and such"
    ),
    4: Attack("A new table lacks a wall", "a check of every relation in PostgreSQL's catalog"),
    5: Attack("A view or a definer function goes around the wall", "the same check: reviewed functions, no matviews"),
    6: Attack("A key of another tenant answers whether it exists", "tenant_id leads every key, unique and foreign"),
    7: Attack("A query without a tenant reads nothing and passes", "it raises, in the engine and in the policy"),
    8: Attack("Another tenant's id on any route", "ids are looked up under the wall; one 404 for all"),
    9: Attack(
        "A forged, cut, empty or many-fold signature", "raw bytes, constant time, bounded headers, exact versions"
    ),
    10: Attack("A valid webhook is sent again", "signed time where there is one; a key per delivery"),
    11: Attack("A webhook is sent again under a new id", "a second key of ticket, kind and revision"),
    12: Attack(
        "Addresses of tenants are guessed", "128 random bits; one answer and one amount of work for every refusal"
    ),
    13: Attack("The body names another tenant", "the tenant comes from the address alone"),
    14: Attack("Deep, huge or odd JSON", "raw bytes are stored first; bounds before any parser"),
    15: Attack("A small body that unpacks to a huge one", "no content encoding in; a bound on decoded bytes out"),
    16: Attack("Senders that stall", "a deadline for head and body, bounded connections"),
    17: Attack("An address of our own network is called", "one guarded client that pins vetted public addresses"),
    18: Attack(
        "A key is sent to a server of the attacker's choice", "addresses of models come from the operator's list"
    ),
    19: Attack("A sealed secret is moved", "its seal binds installation, tenant, kind, name and versions"),
    20: Attack("A nonce repeats, or one text opens under two keys", "a fresh key per secret version, committed to"),
    21: Attack("A dump of PostgreSQL or Redis is stolen", "no secret in clear in either; jobs hold ids only"),
    22: Attack(
        "Keys show up in logs, traces, errors or metrics", "handles that do not print; a scrubber before each sink"
    ),
    23: Attack(
        "A ticket orders the model to read another tenant", "no tool takes a tenant; what a run is handed is bound"
    ),
    24: Attack(
        "A ticket has the model carry words out", "no free addresses; links only to listed hosts; notes are internal"
    ),
    25: Attack(
        "A ticket has the model act or spend without end", "tools that read only; bounds on tokens, calls and time"
    ),
    26: Attack("Text runs in the dashboard", "one component that makes text nodes; a policy without inline scripts"),
    27: Attack("Another site's page acts for a person", "SameSite, form tokens, exact origins of connections"),
    28: Attack("A session is fixed, stolen or guessed", "sessions at the server, new at login, lockout, argon2id"),
    29: Attack("Redis is poisoned", "JSON without classes; the worker reads everything from PostgreSQL"),
    30: Attack("A stored state is made to run code", "no checkpoints of the graph; states are JSON of known shapes"),
    31: Attack("A malicious plugin or dependency", "hashed lock, refusal of `.pth`, bill of materials"),
    32: Attack("Our note calls us again", "own account and marker are known; few runs per ticket and hour"),
    33: Attack("SQL is injected", "parameters only"),
    34: Attack("One tenant starves the others", "claims are shared out fairly"),
    35: Attack("The audit trail is edited", "append-only rights, a trigger, a chain of hashes"),
}


def marks(folder: Path = ROOT / "tests") -> list[Mark]:
    """Return every marker of a test below the folder, read from its source."""
    return [mark for file in sorted(folder.rglob("test_*.py")) for mark in _marks_of(file, folder.parent)]


def unproven(found: list[Mark]) -> list[str]:
    """Return what no test proves, and what tests name that nobody promised; one sentence each."""
    proven = {(mark.of, mark.id) for mark in found}
    known = {("promise", name) for name in PROMISES} | {("attack", str(number)) for number in ATTACKS}
    missing = [f"no test proves the {of} {name}" for of, name in sorted(known - proven)]
    return missing + [f"{m.test} names an unknown {m.of} {m.id}" for m in found if (m.of, m.id) not in known]


def page(found: list[Mark]) -> str:
    """Return ``docs/promises.md``."""
    by_id: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in found:
        by_id[mark.of, mark.id].append(mark)
    lines = [
        "# Promises",
        "",
        "What may be relied on, where it ends, and the tests that prove it. Made from the tests' own markers by",
        "`python -m tests.support.promises`: a promise or an attack without a test fails the build.",
        "Figures are of one run of the tests, or of the benchmark named.",
        "",
        "## What is promised",
        "",
    ]
    for name, promise in PROMISES.items():
        figure = f"\n\nMeasured: {promise.figure}." if promise.figure else ""
        lines += [f"### {name}", "", f"{promise.text}\n\nLimit: {promise.limit}{figure}", ""]
        lines += [*_tests(by_id["promise", name]), ""]
    lines += ["## What is defended against", ""]
    for number, attack in ATTACKS.items():
        lines += [f"### {number}. {attack.name}", "", f"Defence: {attack.defence}.", ""]
        lines += [*_tests(by_id["attack", str(number)]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _tests(found: list[Mark]) -> Iterator[str]:
    for mark in found:
        yield f"- `{mark.test}`: {mark.behaviour}{f' ({mark.figure})' if mark.figure else ''}"


def _marks_of(file: Path, top: Path) -> Iterator[Mark]:
    text = file.read_text()
    if "mark.promise" not in text and "mark.attack" not in text:
        return
    tree = ast.parse(text)
    for owner in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        for node in owner.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                place = f"{file.relative_to(top)}::{f'{owner.name}::' if isinstance(owner, ast.ClassDef) else ''}{node.name}"
                behaviour = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
                yield from (_mark(call, place, behaviour) for call in node.decorator_list if _is_mark(call))


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in (
        "pytest.mark.promise",
        "pytest.mark.attack",
    )


def _mark(call: ast.expr, place: str, behaviour: str) -> Mark:
    assert isinstance(call, ast.Call)
    of = ast.unparse(call.func).rpartition(".")[2]
    figures = [str(ast.literal_eval(k.value)) for k in call.keywords if k.arg == "figure"]
    return Mark(of, str(ast.literal_eval(call.args[0])), place, behaviour, "".join(figures))


if __name__ == "__main__":
    PAGE.write_text(page(marks()))
