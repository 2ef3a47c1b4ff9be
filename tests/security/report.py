"""``python -m tests.security.report``: take each control away, run its test, and write docs/threat-model.md.

With ``--page`` only the page is written, from what was observed last (``observed.json``).
"""

# ruff: noqa: E501 – prose of a page, a paragraph a line.

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.rows import Shown
from tests.security import running
from tests.security.threats import THREATS, Threat

__all__ = ["OBSERVED", "PAGE", "page"]

OBSERVED = Path(__file__).with_name("observed.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "threat-model.md"

_HEAD = """\
# Threats and controls

For whoever reviews the security of spectralid: what may be tried, what stands in the way, which test shows it, and what is left.
Threats 1 to 20 are those of the specification of field record and reachback; the others were added for the tablet, the commands and
the files. The page is made by `python -m tests.security.report`, which takes controls away, one after the other, and sees their
tests fail.

**In {noticed} of {tried} cases the test fails once the control is taken away** ({date}). {elsewhere} of them are controls of the [faults](faults.md)
as well, and are taken away each time the test suite runs. Where the last column is empty, nothing was taken away: the tests show that the
control works, not that they would notice its absence.

Three assumptions stand under all of it:

- The operating systems of server and tablet are sound, their disks are encrypted, and officers have no administrator's rights.
- The agency keeps the keys of its root and its releases offline.
- Whoever can write to the installed package can do anything: nothing here defends a program against its own machine.

How to report a weakness: [reporting](#reporting-a-weakness). What was measured and never tried otherwise: [limits](limits.md).

## The table

| # | what is tried | what stands in the way | without it |
|--:|---|---|---|
"""

_TAIL = """
## What is checked before a file is used

| file | SHA-256 | signature | schema | newer engine | if it is refused |
|---|---|---|---|---|---|
| library | of each value, when it is used; of all of it when it is installed | of the release (The Update Framework); of your own: `library sign`, asked for once a key is trusted | major version; later minor ones are read | `needs_engine` in the manifest; `min_engine` of a release | the one before, or the bundled one, stays in force |
| calibration record | in the record | in the record (`calibrate --key`), asked for once a key is trusted | `version` | `needs_engine` | nothing is calibrated |
| policy | of the file, whenever it is read; a short one of its content in each verdict | beside the file, kept with it, asked for once a key is trusted | `schema` | `needs_engine` | the one in force stays; a damaged one is replaced by the bundled one, and each verdict says so |
| instrument profile | recorded with each spectrum | beside the file, asked for once a key is trusted | `schema` | `needs_engine` | the instrument stays as it is |
| instrument model | in the file | beside the file, asked for once a key is trusted | `schema` | `needs_engine` | the program does not begin |
| confidence record | in the file | comes with spectralid only | `schema`, and the engine's method | by the method | the program says so |
| family model | in the file, and that of its library | made here from the library | `schema` | made anew by each version | it is not used |
| packet, receipt, answer, enrolment | of each blob | always (DSSE) | major version: 415, kept aside | the same | kept, never dropped |
| limits of the daily check | version in each check | none | every key is known and needed | none | the check is not done |
| performance check | in the file | in its packet | `format` | none | it counts for nothing |
| texts, tables, bundled profiles | of the wheel, when it is installed | none | read by the tests of each release | with the program | – |

Opening the bundled library takes about 10 ms, and hashing all of its 9.4 MB about 10 ms more (measured beside other work). All the
same it is not hashed as a whole at each opening: libraries may be a hundred times as large, and every value is compared with its checksum
before it is used for the first time.

### Trusted keys

As delivered no key is trusted. A whole file of your own is taken then, and named in each result by its SHA-256; packets say in
`library.vouched_by` who vouched for the library: `bundled`, `release 3`, `key …`, or nobody.

```console
spectralid library keygen agency.key               # once, offline; agency.key.pub goes to the tablets
spectralid trust add agency.key.pub                # on the tablet: from now on files of its own need a signature
spectralid trust list
spectralid trust sign policy ours.toml --key agency.key
spectralid trust sign profile bench.toml --key agency.key
spectralid library sign ours.h5 --key agency.key
```

Keys are also looked for in `/etc/spectralid/trusted-keys` (on Windows `%PROGRAMDATA%\\spectralid\\trusted-keys`), to which the officer's account
should not be able to write. A key file that is damaged ends the command: it never ends the need for signatures. Python programs that
call `load_policy` and the like decide for themselves (`trusted=TrustedKeys.here()`).

## No pickle

`tests/security/test_no_pickle.py` parses every Python file and notebook of the project, and looks into every data file, also within npz, zip,
gzip and HDF5. What is allowed, and why:

| where | what | why |
|---|---|---|
"""

_REPORTING = """
## Reporting a weakness

Write to the maintainers in private, not in a public issue: through the private reports of the place where you got the source
(*Security → Report a vulnerability*), or to the person at your agency who runs the server. Say which version
(`spectralid --version`), what can be done with it, and how to repeat it; leave out case data.
If evidence may be affected, say so first: the record of a tablet (`spectralid packets verify`) and the server's log
(`spectralid reachback admin verify`) can be checked at once.
"""


def _key(one: Shown) -> str:
    return f"{one.guard.name} | {one.test}"


def _observed(threat: Threat, seen: Mapping[str, str]) -> str:
    said: dict[str, list[str]] = {}
    for one in threat.shown:
        said.setdefault(one.guard.name, []).append(seen.get(_key(one), "not run"))
    parts = [f"*{name}*: {', '.join(dict.fromkeys(hows))}" for name, hows in said.items()]
    if threat.controls:
        parts.append("its tests plant the harm themselves")
    return "; ".join(parts)


def page(seen: Mapping[str, Any]) -> str:
    """The document.

    Parameters
    ----------
    seen : mapping
        What `observed.json` holds.
    """
    from tests.security.no_pickle import ALLOWED

    hows = list(seen["controls"].values())
    text = _HEAD.format(
        noticed=hows.count("its test fails"),
        tried=len(hows),
        elsewhere=sum(map(running.elsewhere, running.shown())),
        date=seen["date"],
    )
    for threat in THREATS:
        cells = (str(threat.number), threat.words, threat.control, _observed(threat, seen["controls"]))
        text += f"| {' | '.join(cells)} |\n"
    text += "\n## What is left\n\n"
    text += "".join(f"- **{threat.number}.** {threat.rest}\n" for threat in THREATS if threat.rest)
    text += _TAIL
    for place, (names, why) in ALLOWED.items():
        text += f"| `{place}` | {', '.join(f'`{name}`' for name in sorted(names))} | {why} |\n"
    text += _REPORTING
    text += "\n## Which tests\n"
    for threat in THREATS:
        text += f"\n**{threat.number}. {threat.words}**\n\n"
        text += "".join(f"- `{name}`\n" for name in threat.tests)
        text += "".join(
            f"- without *{one.guard.name}* ({one.guard.words}): `{one.test}`\n" for one in threat.shown
        )
        text += "".join(f"- plants the harm itself: `{name}`\n" for name in threat.controls)
    return text


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page from what was observed last")
    parser.add_argument("--again", action="store_true", help="run only what was not noticed last time")
    args = parser.parse_args()
    seen: dict[str, Any] = {"date": "", "controls": {}}
    if OBSERVED.exists() and (args.page or args.again):
        seen = json.loads(OBSERVED.read_text(encoding="utf-8"))
    todo = [] if args.page else [one for one in running.shown() if not running.elsewhere(one)]
    if args.again:
        todo = [one for one in todo if seen["controls"].get(_key(one)) != "its test fails"]
    wrong = 0
    whole = {}
    for one in running.run(todo) if todo else ():
        if not one.guard:
            whole[one.test] = one
            continue
        before = whole[one.test]
        how = "not run here" if before.how == "skipped" else "its test fails"
        if before.how != "skipped" and not (before.how == "passed" and one.is_noticed):
            how, wrong = "NOT NOTICED", wrong + 1
            print(before, one, sep="\n  ", file=sys.stderr)
        print(f"{how}: {one.guard} | {one.test}", flush=True)
        seen["controls"][f"{one.guard} | {one.test}"] = how
        seen["date"] = datetime.now(UTC).date().isoformat()
        OBSERVED.write_text(json.dumps(seen, indent=1) + "\n", encoding="utf-8")
    for one in todo:
        if _key(one) not in seen["controls"]:
            wrong += 1
            print(f"NOT RUN: {_key(one)}", file=sys.stderr)
    for one in running.shown():
        if running.elsewhere(one):
            seen["controls"][_key(one)] = "its test fails"
    known = {_key(one) for one in running.shown()}
    seen["controls"] = {key: how for key, how in seen["controls"].items() if key in known}
    OBSERVED.write_text(json.dumps(seen, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(seen), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
