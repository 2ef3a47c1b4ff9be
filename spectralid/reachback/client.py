"""A chemist's line to the server, from Python: the queue, a case with its spectra, a decision.

::

    import spectralid.reachback as reachback

    with reachback.connect("https://reachback.example", account="ada", password=…, code="123456") as desk:
        lease = desk.next()
        material = desk.material(lease.case_id)           # spectra, strips, notes, photos
        bench = Workbench.open(material, library)
        desk.adjudicate(lease, verdict="identified", headline="Lactose", words="…", basis="…",
                        substances=["lactose"], seen=desk.case(lease.case_id).evidence)

What the server refuses is an error with its one sentence, its status and its code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote, urlsplit

from spectralid import __version__
from spectralid.errors import MissingDependencyError, ParameterError
from spectralid.reachback.errors import ReachbackError

if TYPE_CHECKING:
    import httpx

    from spectralid.reachback.bench.material import Material
    from spectralid.spectrum import Spectrum

__all__ = [
    "CaseFile",
    "Client",
    "Lease",
    "Outcome",
    "QueueLine",
    "RefusedError",
    "UnreachableError",
    "connect",
]

_PROBLEM: Final = "application/problem+json"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_T = TypeVar("_T")


class UnreachableError(ReachbackError):
    """The server does not answer, or what answers is no server of this kind."""

    status = 503
    code = "unreachable"


class RefusedError(ReachbackError):
    """The server did not do it.

    Attributes
    ----------
    status : int
        Of the reply.
    code : str
        Of the problem, such as ``stale-lease``.
    draft : int or None
        Under which number what was written is kept.
    retry_after_s : float or None
        After how long it is worth trying again.
    """

    def __init__(
        self, message: str, *, status: int, code: str, draft: int | None, retry_after_s: float | None
    ) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc]
        self.code = code  # type: ignore[misc]
        self.draft = draft
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return _refused, (str(self), self.status, self.code, self.draft, self.retry_after_s)


def _refused(message: str, status: int, code: str, draft: int | None, retry: float | None) -> RefusedError:
    return RefusedError(message, status=status, code=code, draft=draft, retry_after_s=retry)


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A case of the queue; see `spectralid.reachback.caseload.queue.Entry`."""

    case_id: str
    device_id: str
    seizure_ref: str
    site_ref: str
    state: str
    due_utc: str
    stopped: bool
    priority: int
    high_hazard: bool
    scans: int
    evidence: int
    holder: str | None
    until_utc: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A case that one has, until when, and the number that every write carries."""

    case_id: str
    token: int
    chemist: str
    until_utc: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of what was written: the state of the case, why another person has to look, the answer."""

    case_id: str
    state: str
    reasons: tuple[str, ...]
    answer_id: str | None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything on record about it.

    Attributes
    ----------
    case : mapping
        Where it stands.
    packets, scans, spectra, strips, items, sends, rounds, decisions, answers, links : tuple of mapping
        What there is, in the order in which it came.
    """

    case: Mapping[str, Any]
    packets: tuple[Mapping[str, Any], ...]
    scans: tuple[Mapping[str, Any], ...]
    spectra: tuple[Mapping[str, Any], ...]
    strips: tuple[Mapping[str, Any], ...]
    items: tuple[Mapping[str, Any], ...]
    sends: tuple[Mapping[str, Any], ...]
    rounds: tuple[Mapping[str, Any], ...]
    decisions: tuple[Mapping[str, Any], ...]
    answers: tuple[Mapping[str, Any], ...]
    links: tuple[Mapping[str, Any], ...]

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self.case["state"])

    @property
    def evidence(self) -> int:
        """How much a decision rests on: to be given with it as `seen`."""
        return int(self.case["evidence"])


def connect(
    url: str,
    *,
    account: str = "",
    password: str = "",
    code: str = "",
    token: str = "",
    ca: str | os.PathLike[str] | None = None,
    timeout_s: float = 60.0,
) -> Client:
    """Sign in to a server, with password and second factor or with a token.

    Parameters
    ----------
    url : str
        Of the server, ``https://host[:port]``; ``http`` only to this machine, and with a token.
    account, password, code : str
        Whose account, and what the authenticator shows.
    token : str
        One's own token, instead of these.
    ca : path, optional
        The agency's authority (PEM); by default those of this system count.
    timeout_s : float
        How long a reply may take.

    Returns
    -------
    Client
        Signed in; a context manager that signs out.

    Raises
    ------
    UnreachableError
        If nothing answers, or something else.
    RefusedError
        If the account, the password, the code or the token is not right.
    """
    if not (token or (account and password and code)):
        raise ParameterError("account", account, "given with password and code; or a token instead")
    client = Client(url, ca=ca, timeout_s=timeout_s)
    try:
        if token:
            client.use_token(token)
        else:
            client.sign_in(account, password, code)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """The line to a server; `connect` makes one.

    Parameters
    ----------
    url, ca, timeout_s
        As for `connect`.
    http : httpx.Client, optional
        A client that is there already, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: str | os.PathLike[str] | None = None,
        timeout_s: float = 60.0,
        http: httpx.Client | None = None,
    ) -> None:
        address = urlsplit(url)
        plain = address.scheme == "http" and address.hostname in _LOOPBACK
        if not address.hostname or not (address.scheme == "https" or plain):
            raise ParameterError("url", url, "of the form https://host[:port]")
        self.url = url.rstrip("/")
        self.account = ""
        self.roles: tuple[str, ...] = ()
        self._http = http if http is not None else _dial(ca, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sign out, if there is a session, and hang up."""
        if "X-CSRF-Token" in self._http.headers:
            # Without that it ends by itself.
            with contextlib.suppress(ReachbackError):
                self._ask("DELETE", "/v1/session")
            del self._http.headers["X-CSRF-Token"]
        self._http.close()

    # who

    def sign_in(self, account: str, password: str, code: str) -> None:
        """Open a session."""
        said = self._ask("POST", "/v1/session", {"account": account, "password": password, "code": code})
        self._http.headers["X-CSRF-Token"] = said["csrf"]
        self._know(said)

    def use_token(self, token: str) -> None:
        """Use a token from now on."""
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._know(self._ask("GET", "/v1/session"))

    def make_token(self, label: str, *, days: int = 90) -> str:
        """A token for scripts; it is told once."""
        return str(self._ask("POST", "/v1/tokens", {"label": label, "days": days})["secret"])

    def _know(self, said: Mapping[str, Any]) -> None:
        self.account, self.roles = said["account"], tuple(said["roles"])

    # the queue

    def queue(self, *, limit: int = 200) -> tuple[QueueLine, ...]:
        """What waits and what is being worked on, in its order."""
        said = self._ask("GET", "/v1/queue", query={"limit": limit})
        return tuple(_of(QueueLine, one) for one in said["cases"])

    def next(self) -> Lease | None:
        """Take the case that comes first; ``None`` if nothing waits."""
        lease = self._ask("POST", "/v1/queue/next")["lease"]
        return None if lease is None else _of(Lease, lease)

    def take(self, case_id: str) -> Lease:
        """Take a case for 15 minutes."""
        return _of(Lease, self._ask("POST", _case(case_id, "/lease")))

    def renew(self, lease: Lease) -> Lease:
        """Keep a case for another 15 minutes from now."""
        return _of(Lease, self._ask("PUT", _case(lease.case_id, "/lease"), {"token": lease.token}))

    def release(self, lease: Lease) -> None:
        """Give a case back undecided."""
        self._ask("DELETE", _case(lease.case_id, "/lease"), query={"token": lease.token})

    # a case

    def case(self, case_id: str) -> CaseFile:
        """Everything on record about a case."""
        said = self._ask("GET", _case(case_id))
        rows = {name: tuple(said[name]) for name in _ROWS}
        return CaseFile(case=said["case"], **rows)

    def packet(self, case_id: str, seq: int) -> bytes:
        """A packet of a case, as the tablet signed it."""
        reply = self._reply("GET", _case(case_id, f"/packets/{seq:d}"))
        return bytes(reply.content)

    def material(self, case_id: str) -> Material:
        """The packets of a case, read: spectra exactly as they were measured, strips, notes, photos."""
        from spectralid.casework.packet import open_packet
        from spectralid.reachback.bench.material import read_material

        numbers = [one["seq"] for one in self.case(case_id).packets]
        # The server has verified the signatures; its keys of the tablets are not known here.
        packets = [open_packet(self.packet(case_id, seq), None) for seq in numbers]
        return read_material(packets, case_id=case_id)

    def spectra(self, case_id: str) -> tuple[Spectrum, ...]:
        """The spectra of a case that can be read, as they were measured, darks and backgrounds left out."""
        scans = self.material(case_id).scans
        return tuple(one.spectrum for one in scans if one.spectrum is not None and one.role == "sample")

    # what is written

    def draft(self, lease: Lease, content: Mapping[str, Any]) -> int:
        """Keep what is written so far; returns its number."""
        body = {"token": lease.token, "content": dict(content)}
        return int(self._ask("POST", _case(lease.case_id, "/drafts"), body)["draft"])

    def drafts(self, case_id: str) -> tuple[Mapping[str, Any], ...]:
        """One's own drafts on a case, oldest first."""
        return tuple(self._ask("GET", _case(case_id, "/drafts"))["drafts"])

    def interim(
        self,
        lease: Lease,
        *,
        headline: str | None = None,
        words: str | None = None,
        precautions: Iterable[str] = (),
    ) -> Outcome:
        """Tell the officer how to treat it meanwhile; without words, as hazardous."""
        body: dict[str, Any] = {"token": lease.token, "precautions": list(precautions)}
        body |= {name: said for name, said in (("headline", headline), ("words", words)) if said is not None}
        return _outcome(self._ask("POST", _case(lease.case_id, "/interim"), body))

    def adjudicate(
        self,
        lease: Lease,
        *,
        verdict: str,
        headline: str,
        words: str,
        basis: str,
        substances: Iterable[str] = (),
        precautions: Iterable[str] = (),
        high_hazard: bool = False,
        first_look: str = "",
        seen: int | None = None,
    ) -> Outcome:
        """Decide a case; see `spectralid.reachback.bench.decisions.Decision`.

        Raises
        ------
        RefusedError
            With `draft` if the lease has ended (``stale-lease``) or evidence came in (``case-changed``).
        """
        body = {
            "token": lease.token,
            "verdict": verdict,
            "headline": headline,
            "words": words,
            "basis": basis,
            "substances": list(substances),
            "precautions": list(precautions),
            "high_hazard": high_hazard,
            "first_look": first_look,
            "seen": seen,
        }
        return _outcome(self._ask("POST", _case(lease.case_id, "/adjudications"), body))

    def review(self, lease: Lease, *, agrees: bool, note: str) -> Outcome:
        """Let another's decision stand, or send it back."""
        body = {"token": lease.token, "agrees": agrees, "note": note}
        return _outcome(self._ask("POST", _case(lease.case_id, "/second-review"), body))

    def link(self, one: str, other: str, *, fact: str) -> bool:
        """Say that two cases belong together; returns whether that is new."""
        return bool(self._ask("POST", "/v1/links", {"one": one, "other": other, "fact": fact})["new"])

    def links(self, case_id: str) -> tuple[Mapping[str, Any], ...]:
        """The cases that a case is linked to."""
        return tuple(self._ask("GET", _case(case_id, "/links"))["links"])

    def report_result(
        self,
        case_id: str,
        *,
        laboratory: str,
        sample: str,
        result: str,
        methods: Iterable[str],
        substances: Mapping[str, float | None] | None = None,
        stage: str = "forward",
        report: str = "",
        item_ref: str = "",
    ) -> str:
        """Enter what a laboratory found; see `spectralid.reachback.lab.reports.Report`.

        Parameters
        ----------
        case_id : str
            The case.
        laboratory, sample : str
            Which laboratory, and its name for the sample.
        result : {"confirmed", "refuted", "inconclusive"}
            Whether it bears the presumptive result out.
        methods : iterable of str
            Such as ``"GC-MS"``.
        substances : mapping of str to float or None, optional
            What was found by slug, with the mass share (0 … 1) where it is known.
        stage : {"forward", "regional"}
            The regional laboratory has the last word.
        report, item_ref : str
            The laboratory's number for it, and the item.

        Returns
        -------
        str
            What became of it, such as ``"applied"``.
        """
        body = {
            "laboratory": laboratory,
            "sample_ref": sample,
            "result": result,
            "methods": list(methods),
            "substances": [{"slug": slug, "share": share} for slug, share in (substances or {}).items()],
            "stage": stage,
            "report_ref": report,
            "item_ref": item_ref,
        }
        return str(self._ask("POST", _case(case_id, "/lab-results"), body)["what"])

    # how it is asked

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        reply = self._reply(method, path, body, query=query)
        if reply.status_code == 204:
            return None
        try:
            return reply.json()
        except ValueError:
            raise self._stranger(reply.status_code) from None

    def _reply(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        import httpx

        try:
            reply = self._http.request(method, self.url + path, json=body, params=query)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise UnreachableError(f"The server {self.url} cannot be reached ({error}).") from error
        if reply.is_success:
            return reply
        raise self._problem(reply)

    def _problem(self, reply: httpx.Response) -> ReachbackError:
        if reply.headers.get("content-type", "").partition(";")[0] != _PROBLEM:
            return self._stranger(reply.status_code)
        try:
            said = reply.json()
            wait = reply.headers.get("retry-after", "")
            return RefusedError(
                str(said["detail"]),
                status=reply.status_code,
                code=str(said["code"]),
                draft=said.get("draft"),
                retry_after_s=float(wait) if wait.isdigit() else None,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._stranger(reply.status_code)

    def _stranger(self, status: int) -> UnreachableError:
        return UnreachableError(f"What answers at {self.url} (status {status}) is no reachback server.")


_ROWS: Final = tuple(one.name for one in fields(CaseFile) if one.name != "case")


def _dial(ca: str | os.PathLike[str] | None, timeout_s: float) -> httpx.Client:
    try:
        import httpx
    except ImportError:
        raise MissingDependencyError("httpx", extra="reachback", purpose="to reach the server") from None
    import ssl

    try:
        context = ssl.create_default_context(cafile=None if ca is None else os.fspath(ca))
    except OSError as error:
        raise ParameterError("ca", str(ca), f"a PEM file with the agency's authority ({error})") from None
    headers = {"User-Agent": f"spectralid/{__version__}", "Accept": "application/json"}
    return httpx.Client(verify=context, trust_env=False, timeout=timeout_s, headers=headers)


def _case(case_id: str, rest: str = "") -> str:
    return f"/v1/cases/{quote(case_id, safe='')}{rest}"


def _of(kind: type[_T], said: Mapping[str, Any]) -> _T:
    """A value of a newer server may say more than is known here."""
    return kind(**{one.name: said[one.name] for one in fields(kind)})  # type: ignore[arg-type]


def _outcome(said: Mapping[str, Any]) -> Outcome:
    return Outcome(said["case_id"], said["state"], tuple(said["reasons"]), said["answer_id"])
