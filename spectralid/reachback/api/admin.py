"""Accounts and devices: who may come in. Nothing of the evidence is here."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, Field, StringConstraints

from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Line, Model, Ref, Sent, printable
from spectralid.reachback.people import accounts
from spectralid.reachback.tablets import enrolled, enrolment, instrument_checks
from spectralid.reachback.tablets.tls import Authority

__all__ = ["router"]

router = APIRouter(tags=["admin"])

_Name = Annotated[str, Path(min_length=1, max_length=40), AfterValidator(printable)]
_DeviceId = Annotated[str, Path(min_length=1, max_length=100), AfterValidator(printable)]
_Role = Literal["chemist", "senior_chemist", "lab_analyst", "librarian", "qa_manager", "auditor", "admin"]
_Roles = Annotated[list[_Role], Field(min_length=1, max_length=10)]
_Sites = Annotated[list[Ref], Field(max_length=200)]

Reader = Annotated[Actor, Depends(requires("account.read"))]
Writer = Annotated[Actor, Depends(requires("account.write"))]
DeviceReader = Annotated[Actor, Depends(requires("device.read"))]
DeviceWriter = Annotated[Actor, Depends(requires("device.write"))]


class AccountView(Model):
    """An account."""

    name: str
    roles: list[str]
    sites: list[str] | None
    state: Literal["new", "active", "disabled"]
    created_utc: str
    created_by: str
    changed_utc: str


class AccountList(Model):
    """Every account there ever was."""

    accounts: list[AccountView]


class SetupCode(Model):
    """For the person alone; it counts until the first sign-in, a day at most."""

    account: str
    setup_code: str


class Rights(Sent):
    """Roles, and the places whose cases are shown: ``null`` for all."""

    roles: _Roles
    sites: _Sites | None


class NewAccount(Rights):
    """A new account."""

    name: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9._-]{1,39}$")]


class Why(Sent):
    """For what reason."""

    why: Line


class DeviceView(Model):
    """A tablet."""

    device_id: str
    site_ref: str
    active: bool
    enrolled_utc: str
    revoked_utc: str | None
    revoked_why: str | None
    seen_utc: str | None


class DeviceList(Model):
    """Every tablet there ever was."""

    devices: list[DeviceView]


class CertificateView(Model):
    """A certificate of a tablet."""

    sha256: str
    serial: str
    device_id: str
    issued_utc: str
    until_utc: str
    revoked_utc: str | None


class CheckView(Model):
    """A daily check of its instrument."""

    device_id: str
    ipv_id: str
    checked_utc: str
    passed: bool
    limits_version: str
    instrument: str
    received_utc: str


class DeviceFile(Model):
    """A tablet, its certificates, and the last checks of its instrument."""

    device: DeviceView
    certificates: list[CertificateView]
    checks: list[CheckView]


class EnrolmentRequest(Sent):
    """The file that ``spectralid packets request`` made, and its fingerprint as the tablet showed it."""

    request: Annotated[str, StringConstraints(min_length=1, max_length=400_000)]
    fingerprint: Annotated[str, StringConstraints(min_length=32, max_length=200)]
    site_ref: Ref


class EnrolmentAnswer(Model):
    """The file for the tablet, and its fingerprint, which a person tells the officer."""

    device_id: str
    enrolment: str
    fingerprint: str
    until_utc: str


class Revocation(Why):
    """Why a tablet is let in no more; from a stolen one nothing more is believed at all."""

    stolen: bool = False


def _account(found: accounts.Account) -> AccountView:
    sites = None if found.sites is None else sorted(found.sites)
    return AccountView(
        name=found.name,
        roles=sorted(found.roles),
        sites=sites,
        state=found.state,  # type: ignore[arg-type]
        created_utc=found.created_utc,
        created_by=found.created_by,
        changed_utc=found.changed_utc,
    )


@router.get("/v1/accounts", response_model=AccountList, summary="The accounts")
def list_accounts(desk: DeskNow, _: Reader) -> AccountList:
    """List them, by name."""
    return AccountList(accounts=[_account(one) for one in accounts.listed(desk.db)])


@router.post(
    "/v1/accounts",
    response_model=SetupCode,
    status_code=201,
    summary="Make an account",
    responses=problems.declared(409),
)
def add_account(body: NewAccount, desk: DeskNow, who: Writer) -> SetupCode:
    """Make it; the person chooses the password with the set-up code."""
    code = accounts.add(
        desk.db,
        body.name,
        roles=body.roles,
        sites=body.sites,
        by=who.name,
        now=desk.now(),
        settings=desk.settings.accounts,
    )
    return SetupCode(account=body.name, setup_code=code)


@router.put(
    "/v1/accounts/{name}",
    response_model=AccountView,
    summary="Change what an account may do",
    responses=problems.declared(404),
)
def change_account(name: _Name, body: Rights, desk: DeskNow, who: Writer) -> AccountView:
    """Give it other roles or places, from its next request on."""
    return _account(
        accounts.change(desk.db, name, roles=body.roles, sites=body.sites, by=who.name, now=desk.now())
    )


@router.post(
    "/v1/accounts/{name}/reset",
    response_model=SetupCode,
    status_code=201,
    summary="Begin anew with an account",
    responses=problems.declared(404),
)
def reset_account(name: _Name, desk: DeskNow, who: Writer) -> SetupCode:
    """End its sessions and tokens, and give out another set-up code."""
    code = accounts.reset(desk.db, name, by=who.name, now=desk.now(), settings=desk.settings.accounts)
    return SetupCode(account=name, setup_code=code)


@router.post(
    "/v1/accounts/{name}/disable",
    response_model=AccountView,
    summary="Let a person in no more",
    responses=problems.declared(404),
)
def disable_account(name: _Name, body: Why, desk: DeskNow, who: Writer) -> AccountView:
    """End its sessions and tokens at once; what it did stays on record."""
    return _account(accounts.disable(desk.db, name, why=body.why, by=who.name, now=desk.now()))


@router.get("/v1/devices", response_model=DeviceList, summary="The tablets")
def list_devices(desk: DeskNow, _: DeviceReader) -> DeviceList:
    """List them, by name."""
    return DeviceList(devices=[DeviceView.model_validate(one) for one in enrolled.listed(desk.db)])


@router.get(
    "/v1/devices/{device_id}",
    response_model=DeviceFile,
    summary="A tablet",
    responses=problems.declared(404),
)
def read_device(device_id: _DeviceId, desk: DeskNow, _: DeviceReader) -> DeviceFile:
    """A tablet, its certificates, and the last checks of its instrument."""
    return DeviceFile(
        device=DeviceView.model_validate(enrolled.find(desk.db, device_id)),
        certificates=[
            CertificateView.model_validate(one) for one in enrolment.certificates_of(desk.db, device_id)
        ],
        checks=[CheckView.model_validate(one) for one in instrument_checks.of_device(desk.db, device_id)],
    )


@router.post(
    "/v1/devices",
    response_model=EnrolmentAnswer,
    status_code=201,
    summary="Enrol a tablet",
    responses=problems.declared(409),
)
def enrol_device(body: EnrolmentRequest, desk: DeskNow, who: DeviceWriter) -> EnrolmentAnswer:
    """Issue its certificate and the answer that it takes, by its request; or again, for one known already."""
    now = desk.now()
    done = enrolment.issue(
        desk.db,
        desk.keys,
        Authority.open(desk.folder, now=now),
        body.request.encode(),
        confirmed=body.fingerprint,
        site_ref=body.site_ref,
        url=desk.settings.device_url(),
        by=who.name,
        now=now,
        days=desk.settings.devices.certificate_days,
    )
    return EnrolmentAnswer(
        device_id=done.device_id,
        enrolment=done.envelope.decode(),
        fingerprint=done.fingerprint,
        until_utc=done.until_utc,
    )


@router.post(
    "/v1/devices/{device_id}/revoke",
    response_model=DeviceView,
    summary="Let a tablet in no more",
    responses=problems.declared(404),
)
def revoke_device(device_id: _DeviceId, body: Revocation, desk: DeskNow, who: DeviceWriter) -> DeviceView:
    """Withdraw its certificates, from its next request on."""
    done = enrolment.revoke(desk.db, device_id, why=body.why, by=who.name, now=desk.now(), stolen=body.stolen)
    return DeviceView.model_validate(done)
