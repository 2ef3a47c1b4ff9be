"""The web application behind the officer's screen: addresses, and what each calls. Starlette (ASGI)."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework import exchange, inbox, instrument_checks, outbox
from spectralid.casework.errors import RemovedPacketError, StoreFullError, StoreReadOnlyError
from spectralid.errors import (
    DeviceError,
    InputError,
    MissingDependencyError,
    ParameterError,
    RecordError,
    SpectralIDError,
)
from spectralid.tablet import check_views, views
from spectralid.tablet.doorman import Doorman
from spectralid.tablet.events import event_bytes
from spectralid.tablet.item import suggestion

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles
except ImportError:
    raise MissingDependencyError("starlette", extra="tablet", purpose="for the tablet's screen") from None

if TYPE_CHECKING:
    from starlette.requests import Request

    from spectralid.tablet.workplace import Workplace

__all__ = ["STATIC", "application"]

STATIC: Final = Path(__file__).parent / "static"

_log = logging.getLogger("spectralid.tablet")

_LARGEST_BODY: Final = 6 * 1024 * 1024
_PAGES: Final = ("scan", "result", "item", "history", "queue", "answers", "check", "device", "settings")
_MOST_ROWS: Final = 200
_STRIP_FIELDS: Final = (
    *("target", "brand", "lot", "expiry", "cutoff_ng_ml", "dilution_mg_ml", "read_s", "result"),
)

_Act = Callable[["Workplace", "Request", Any], Any]


def application(place: Workplace, *, key: str, session: str) -> Callable[..., Awaitable[None]]:
    """The ASGI application of one tablet.

    Parameters
    ----------
    place : Workplace
        What it acts on.
    key : str
        Lets a browser in, see `spectralid.tablet.doorman.Doorman`.
    session : str
        Secret of its cookie, the same across restarts, so that an open page keeps working.
    """

    def route(path: str, act: _Act, *methods: str, status: int = 200) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                body = await _body(request)
                # Everything that waits for disk or instrument does so in a thread: the page never blocks.
                answer = await run_in_threadpool(act, place, request, body)
            except SpectralIDError as error:
                return _failed(error)
            except Exception as error:  # A defect of ours: one sentence here, the rest for whoever mends it.
                _log.exception("%s %s failed", request.method, request.url.path)
                what = f"{type(error).__name__}: {error}"
                return _sentence(f"Internal error ({what}); nothing recorded is lost.", "internal", 500)
            return answer if isinstance(answer, Response) else JSONResponse(answer, status)

        return Route(path, endpoint, methods=list(methods) or ["GET"])

    async def events(_: Request) -> Response:
        first = event_bytes("state", await run_in_threadpool(place.state))
        return StreamingResponse(
            place.broker.stream(first),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    routes = [
        Route("/api/events", events),
        route("/api/state", lambda p, *_: p.state()),
        route("/api/settings", _configure, "PUT"),
        route("/api/device", _device),
        route("/api/instrument", _connect, "POST"),
        route("/api/instrument", _disconnect, "DELETE"),
        route("/api/instrument/off", _off, "POST"),
        route("/api/seizures", _seizures),
        route("/api/seizures", _open_seizure, "POST", status=201),
        route("/api/seizures/{ref}", _seizure),
        route("/api/seizures/{ref}/report.{form}", _seizure_report),
        route("/api/items", _add_item, "POST", status=201),
        route("/api/items/{ref}", _item),
        route("/api/items/{ref}/declared", _declare, "POST"),
        route("/api/items/{ref}/strips", _strip, "POST"),
        route("/api/items/{ref}/notes", _note, "POST"),
        route("/api/items/{ref}/photos", _photo, "POST"),
        route("/api/items/{ref}/send", _send, "POST"),
        route("/api/strips/choices", _strip_choices),
        route("/api/scans", _scan, "POST", status=202),
        route("/api/scans", _cancel, "DELETE"),
        route("/api/checks", _checks),
        route("/api/checks", _check, "POST", status=202),
        route("/api/checks/skip", _skip_check, "POST"),
        route("/api/checks/arrived", _check_arrived, "POST", status=201),
        route("/api/checks/file", _check_file, "POST", status=201),
        route("/api/checks/{id}", _one_check),
        route("/api/checks/{id}/report.pdf", _check_report),
        route("/api/arrived", _arrived),
        route("/api/arrived/assign", _assign, "POST", status=202),
        route("/api/records/{id}", _record),
        route("/api/records/{id}/report.{form}", _report),
        route("/api/records/{id}/photos/{sha256}", _picture),
        route("/api/history", _history),
        route("/api/queue", _queue),
        route("/api/queue/retry", _retry, "POST"),
        route("/api/queue/export", _export, "POST"),
        route("/api/queue/import", _import, "POST"),
        route("/api/answers", _answers),
        route("/api/answers/{id}/shown", _shown, "POST"),
        Mount("/static", _Fresh(directory=STATIC, check_dir=False)),
        Route("/", page),
        *(Route(f"/{name}", page) for name in _PAGES),
        *(Route(f"/{name}/{{rest:path}}", page) for name in _PAGES),
    ]
    return Doorman(Starlette(routes=routes), key, session)


class _Fresh(StaticFiles):
    """Static files that a browser asks for anew after an update of the program."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


# --- tablet and instrument -------------------------------------------------------------------------------


def _configure(place: Workplace, _: Request, body: Any) -> Any:
    place.configure(_fields(body))
    return place.state()


def _device(place: Workplace, *_: Any) -> Any:
    from serial.tools import list_ports

    from spectralid.devices import bundled_profiles, load_profile
    from spectralid.devices.profile import FILE_PROTOCOLS
    from spectralid.devices.sim.samples import bundled_samples

    profiles = [(name, load_profile(name)) for name in bundled_profiles()]
    return {
        **place.state()["device"],
        "ports": [port.device for port in list_ports.comports()],
        "profiles": [
            {"name": name, "title": profile.name, "tried_on_hardware": profile.tried_on_hardware}
            for name, profile in profiles
            if profile.protocol not in FILE_PROTOCOLS
        ],
        "samples": sorted(bundled_samples()) if place.desk.simulators else [],
    }


def _connect(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    if "simulate" in wanted:
        place.desk.connect_simulated(wanted)
    else:
        place.desk.connect(_text(wanted, "port"), _text(wanted, "profile"))
    return place.state()


def _disconnect(place: Workplace, *_: Any) -> Any:
    place.desk.disconnect()
    return place.state()


def _off(place: Workplace, *_: Any) -> Any:
    place.desk.off()
    return place.state()


def _scan(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    item_ref = _text(wanted, "item_ref")
    if not wanted.get("again") and place.unit.repeats(item_ref):
        sentence = "This item was scanned a moment ago, and that scan is recorded. Scan it again?"
        return _sentence(sentence, "same_item", 409)
    return {"scan_id": place.scan(item_ref, consent=wanted.get("confirmed") is True)}


def _cancel(place: Workplace, *_: Any) -> Any:
    place.desk.cancel()
    return place.state()


def _arrived(place: Workplace, *_: Any) -> Any:
    return place.arrivals.waiting() if place.arrivals else []


def _assign(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    return {"packets": place.assign(_text(wanted, "file"), _text(wanted, "item_ref"))}


# --- the instrument's daily check ------------------------------------------------------------------------


def _checks(place: Workplace, *_: Any) -> Any:
    instrument = place.desk.facts()
    return check_views.overview(place.unit, instrument["serial"] if instrument["connected"] else None)


def _check(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    standard, lot = _text(wanted, "standard"), str(wanted.get("lot") or "")
    return {"scan_id": place.check(standard, lot, consent=wanted.get("confirmed") is True)}


def _skip_check(place: Workplace, _: Request, body: Any) -> Any:
    place.skip_check(_text(_fields(body), "reason"))
    return place.state()


def _check_arrived(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    name, standard = _text(wanted, "file"), _text(wanted, "standard")
    return {"check_id": place.check_arrived(name, standard, str(wanted.get("lot") or ""))}


def _check_file(place: Workplace, request: Request, body: Any) -> Any:
    asked = request.query_params
    if not isinstance(body, bytes) or not body:
        raise ParameterError("file", "nothing", "the bytes of a spectrum file")
    standard = _text(asked, "standard")
    return {"check_id": place.check_file(_text(asked, "name"), body, standard, asked.get("lot", ""))}


def _one_check(place: Workplace, request: Request, _: Any) -> Any:
    return check_views.check_view(place.unit, request.path_params["id"])


def _check_report(place: Workplace, request: Request, _: Any) -> Any:
    from spectralid.qa.check_page import check_pdf
    from spectralid.qa.performance import PerformanceCheck

    said = instrument_checks.said(place.unit.store, request.path_params["id"])
    if not said.get("record"):
        return _unknown()
    check = PerformanceCheck.from_dict(said["record"])
    return _document(check_pdf(check), "pdf", f"check-{check.id[:12]}")


# --- seizures, items, evidence ---------------------------------------------------------------------------


def _seizures(place: Workplace, *_: Any) -> Any:
    rows = place.unit.store.seizures()
    return [views.seizure_view(place.unit, row.seizure_ref) for row in rows]


def _seizure(place: Workplace, request: Request, _: Any) -> Any:
    ref = request.path_params["ref"]
    if ref not in {row.seizure_ref for row in place.unit.store.seizures()}:
        return _unknown()
    return views.seizure_view(place.unit, ref, with_items=True)


def _open_seizure(place: Workplace, _: Request, body: Any) -> Any:
    wanted = {k: str(v) for k, v in _fields(body).items() if k in ("place", "mode", "note")}
    ref = place.unit.open_seizure(**wanted)
    place.current = {"seizure_ref": ref, "item_ref": None}
    place.wake()
    return {"seizure_ref": ref}


def _add_item(place: Workplace, _: Request, body: Any) -> Any:
    wanted = _fields(body)
    seizure_ref = _text(wanted, "seizure_ref")
    ref = place.unit.add_item(
        seizure_ref,
        label=str(wanted.get("label") or ""),
        container=str(wanted.get("container") or "none"),
        declared=wanted.get("declared") or None,
    )
    place.current = {"seizure_ref": seizure_ref, "item_ref": ref}
    place.wake()
    return {"item_ref": ref}


def _item(place: Workplace, request: Request, _: Any) -> Any:
    return _item_view(place, request.path_params["ref"])


def _declare(place: Workplace, request: Request, body: Any) -> Any:
    wanted = {k: str(v or "") for k, v in _fields(body).items() if k in ("text", "cas", "tariff")}
    return _changed_item(place, request, place.unit.declare(request.path_params["ref"], **wanted))


def _strip(place: Workplace, request: Request, body: Any) -> Any:
    from spectralid.verdict.strips import StripTest

    wanted = _fields(body)
    test = StripTest.from_dict({name: wanted.get(name) for name in _STRIP_FIELDS})
    photo = _data_url(wanted["photo"]) if wanted.get("photo") else None
    return _changed_item(place, request, place.unit.add_strip(request.path_params["ref"], test, photo=photo))


def _note(place: Workplace, request: Request, body: Any) -> Any:
    return _changed_item(
        place, request, place.unit.add_note(request.path_params["ref"], _text(_fields(body), "text"))
    )


def _photo(place: Workplace, request: Request, body: Any) -> Any:
    media_type = request.headers.get("content-type", "").partition(";")[0]
    data = body if isinstance(body, bytes) else b""
    return _changed_item(place, request, place.unit.add_photo(request.path_params["ref"], media_type, data))


def _send(place: Workplace, request: Request, body: Any) -> Any:
    note = str(_fields(body).get("note") or "")
    return _changed_item(place, request, place.unit.send(request.path_params["ref"], note))


def _strip_choices(*_: Any) -> Any:
    from spectralid.verdict.strip_figures import studies
    from spectralid.verdict.strips import TARGETS

    brands = {brand for study in studies() for brand in study.brands if brand != "*"}
    return {"targets": [target.key for target in TARGETS], "brands": sorted(brands)}


def _changed_item(place: Workplace, request: Request, view: Any) -> Any:
    place.wake()
    return _item_view(place, request.path_params["ref"], view)


def _item_view(place: Workplace, ref: str, view: Any = None) -> Any:
    view = view or place.unit.item(ref)
    rows = [outbox.state(place.unit.store, p.packet_id) for p in (*view.scans, *view.evidence)]
    answers = [a for a in inbox.all(place.unit.store) if a.item_ref == ref]
    return views.item_view(view, rows, answers=answers)


# --- records ---------------------------------------------------------------------------------------------


def _record(place: Workplace, request: Request, _: Any) -> Any:
    unit = place.unit
    packet = unit.store.packet(request.path_params["id"])
    row = outbox.state(unit.store, packet.packet_id)
    answers = [a for a in inbox.all(unit.store) if packet.packet_id in a.packet_ids]
    item = unit.opened(str(packet.manifest["item_ref"]))
    suggest, reason = suggestion(packet, unit.catalog())
    return {
        **views.record_view(packet, unit.catalog(), queue=row, answers=answers),
        "item_label": item.get("label", ""),
        "suggest": suggest,
        "suggest_reason": reason,
    }


def _report(place: Workplace, request: Request, _: Any) -> Any:
    from spectralid.tablet import documents

    packet = place.unit.store.packet(request.path_params["id"])
    form = request.path_params["form"]
    return _document(documents.of_scan(place.unit, packet, form), form, packet.packet_id)


def _seizure_report(place: Workplace, request: Request, _: Any) -> Any:
    from spectralid.tablet import documents

    ref, form = request.path_params["ref"], request.path_params["form"]
    return _document(documents.of_seizure(place.unit, ref, form), form, ref)


def _document(data: bytes, form: str, name: str) -> Response:
    media_type = {"pdf": "application/pdf", "json": "application/json"}[form]
    headers = {"Content-Disposition": f'inline; filename="{name}.{form}"'}
    return Response(data, media_type=media_type, headers=headers)


def _picture(place: Workplace, request: Request, _: Any) -> Any:
    packet = place.unit.store.packet(request.path_params["id"])
    for blob in packet.blobs:
        if blob.sha256 == request.path_params["sha256"] and blob.media_type.startswith("image/"):
            return Response(blob.data, media_type=blob.media_type)
    return _unknown()


def _history(place: Workplace, request: Request, _: Any) -> Any:
    before = request.query_params.get("before")
    limit = request.query_params.get("limit", "30")
    if not limit.isdecimal() or (before is not None and not before.isdecimal()):
        raise ParameterError("before and limit", f"{before}, {limit}", "whole numbers")
    store = place.unit.store
    rows = store.history(
        limit=min(int(limit), _MOST_ROWS), before_seq=int(before) if before else None, kind="scan"
    )
    states = {row.packet_id: row.state for row in outbox.states(store)}
    packets = []
    for row in rows:
        try:
            packets.append(store.packet(row.packet_id))
        except RemovedPacketError:
            continue  # it was handed over, and its time here is over
    return views.history_view(packets, states)


# --- exchange with reachback -----------------------------------------------------------------------------


def _queue(place: Workplace, *_: Any) -> Any:
    rows = outbox.states(place.unit.store)[-_MOST_ROWS:]
    checks = [row for row in instrument_checks.states(place.unit.store) if row.state != "received"]
    return {
        "rows": [*map(views.check_queue_view, checks), *(views.queue_view(row) for row in reversed(rows))],
        "summary": place.queue(),
    }


def _retry(place: Workplace, *_: Any) -> Any:
    place.retry()
    return place.queue()


def _export(place: Workplace, _: Request, body: Any) -> Any:
    folder = _text(_fields(body), "folder")
    done = exchange.export_packets(place.unit.store, Path(folder))
    return {
        "written": done.written,
        "already": done.already,
        "skipped": list(done.skipped),
        "folder": str(done.folder),
    }


def _import(place: Workplace, _: Request, body: Any) -> Any:
    done = exchange.import_answers(place.unit.store, Path(_text(_fields(body), "folder")))
    place.changed()
    return {"taken": done.taken, "known": done.known, "refused": list(done.refused)}


def _answers(place: Workplace, *_: Any) -> Any:
    return [views.answer_view(a) for a in inbox.all(place.unit.store)]


def _shown(place: Workplace, request: Request, _: Any) -> Any:
    inbox.shown(place.unit.store, request.path_params["id"])
    place.wake()
    return [views.answer_view(a) for a in inbox.all(place.unit.store)]


# --- requests --------------------------------------------------------------------------------------------


async def _body(request: Request) -> Any:
    """What was sent: JSON, or the bytes of a picture or a file."""
    if request.method in ("GET", "HEAD", "DELETE"):
        return None
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _LARGEST_BODY:
            raise ParameterError("request", f"over {len(data)} bytes", "at most 6 MiB")
    if request.headers.get("content-type", "").startswith(("image/", "application/octet-stream")):
        return bytes(data)
    try:
        return json.loads(bytes(data) or b"{}")
    except (ValueError, RecursionError):
        raise ParameterError("request", bytes(data[:40]), "JSON") from None


def _fields(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise ParameterError("request", body, "a JSON object")
    return body


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ParameterError(name, value, "a text that is not empty")
    return value


def _data_url(value: Any) -> tuple[str, bytes]:
    """Media type and bytes of a data: URL."""
    head, _, data = str(value).partition(";base64,")
    try:
        return head.removeprefix("data:"), base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ParameterError("photo", head[:40], "a JPEG or PNG picture") from None


def _unknown() -> Response:
    return _sentence("There is nothing of this name.", "unknown", 404)


def _sentence(sentence: str, code: str, status: int) -> Response:
    return JSONResponse({"error": {"code": code, "sentence": sentence}}, status)


def _failed(error: SpectralIDError) -> Response:
    """One sentence for the officer, and a code for the page."""
    code, status = "internal", 500
    for kind, name, number in _CODES:
        if isinstance(error, kind):
            code, status = name, number
            break
    return _sentence(str(error), code, status)


_CODES: Final = (
    (StoreFullError, "store_full", 507),
    (StoreReadOnlyError, "store_read_only", 503),
    (ParameterError, "parameter", 400),
    (InputError, "input", 422),
    (DeviceError, "device", 409),
    (RecordError, "record", 404),
)
