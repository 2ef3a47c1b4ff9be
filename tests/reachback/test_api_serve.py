"""The server as a program: settings, the first account, both listeners, an orderly end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import httpx
import pyotp
import pytest

from spectralid.casework import enrolment as on_the_tablet
from spectralid.casework.enrolment import enrolled_endpoint
from spectralid.casework.store import CaseStore
from spectralid.casework.sync import Sync
from spectralid.cli import main
from spectralid.errors import ParameterError
from spectralid.reachback import settings
from spectralid.reachback.client import connect
from tests.casework.record import scan, with_item

PASSWORD = "correct horse battery"


def run(capsys, *arguments):
    status = main(["reachback", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out.strip(), said.err.strip()


@pytest.fixture
def quick(tmp_path):
    """Settings whose passwords cost nothing."""
    path = tmp_path / "settings.toml"
    path.write_text("[accounts]\nargon2_time = 1\nargon2_memory_kib = 8\nargon2_lanes = 1\n")
    return path


@pytest.fixture
def served(tmp_path, quick):
    """The command in a process of its own."""
    folder = tmp_path / "server"
    command = [sys.executable, "-c", "import sys; from spectralid.cli import main; sys.exit(main())"]
    command += [
        "reachback",
        "serve",
        "--data",
        str(folder),
        "--settings",
        str(quick),
        "--port",
        "0",
        "--device-port",
        "0",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        desk, devices = process.stdout.readline().strip(), process.stdout.readline().strip()
        assert desk, process.stderr.read()
        yield process, folder, desk, devices
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


@pytest.mark.skipif(os.name != "posix", reason="asks a process to end by a signal")
def test_from_nothing_to_an_answer_by_commands_alone(served, tmp_path, quick, capsys, monkeypatch):
    process, folder, desk_url, device_url = served
    options = ["--data", folder, "--settings", quick]
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")

    status, out, _ = run(capsys, "admin", "init", "root", "--password-file", secret, *options)
    assert status == 0
    assert out.startswith("otpauth://totp/")
    status, code, err = run(
        capsys, "admin", "account", "add", "ada", "--role", "chemist", "--site", "north", *options
    )
    assert status == 0
    assert "for the person alone" in err
    status, out, _ = run(
        capsys, "admin", "account", "setup", "ada", code, "--password-file", secret, *options
    )
    assert status == 0
    totp = pyotp.parse_uri(out)

    request, answer = tmp_path / "request.sidmsg", tmp_path / "enrolment.json"
    with CaseStore.open(tmp_path / "tablet", device_id="field-1", ballast_bytes=4096) as store:
        request.write_bytes(on_the_tablet.request(store))
        told = on_the_tablet.fingerprint(request.read_bytes())
        status, out, _ = run(
            capsys, "admin", "device", "enrol", request, "--fingerprint", told, "--site", "north",
            "--url", device_url, "--out", answer, *options,
        )  # fmt: skip
        assert status == 0
        fingerprint = re.search(r"fingerprint: ([0-9a-f ]+)$", out)[1]
        on_the_tablet.enrol(store, answer.read_bytes(), confirmed=fingerprint)
        with_item(store).capture(scan())
        endpoint = enrolled_endpoint(store)
        try:
            assert len(Sync(store, endpoint).once().delivered) == 3
            ca = folder / "tls" / "ca.pem"
            with connect(desk_url, account="ada", password=PASSWORD, code=totp.now(), ca=ca) as ada:
                lease = ada.next()
                done = ada.adjudicate(
                    lease, verdict="no_match", headline="Nothing found", words="", basis="Bands."
                )
                assert done.state == "ANSWERED"
            assert len(Sync(store, endpoint).once().answers) == 1
        finally:
            endpoint.close()

    status, out, _ = run(capsys, "admin", "device", "list", "--json", *options)
    assert [one["device_id"] for one in json.loads(out)["devices"]] == ["field-1"]
    status, out, _ = run(capsys, "admin", "account", "list", *options)
    assert re.search(r"^ada +active +chemist · north$", out, re.M)
    point = tmp_path / "checkpoint"
    assert run(capsys, "admin", "checkpoint", "--out", point, *options)[0] == 0
    assert run(capsys, "admin", "verify", point, *options)[:2] == (0, "The log is whole.")
    status, out, _ = run(capsys, "admin", "restored", *options)
    assert status == 0
    assert out.endswith(": 1.")
    assert run(capsys, "admin", "device", "revoke", "field-1", "--why", "lost", *options)[0] == 0
    assert run(capsys, "admin", "device", "revoke", "field-9", "--why", "lost", *options)[0] != 0

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.skipif(os.name != "posix", reason="asks a process to end by a signal")
def test_it_ends_in_order_while_somebody_waits(served):
    process, folder, desk_url, _ = served
    import ssl

    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
    with httpx.Client(verify=context) as line:
        assert line.get(desk_url + "/readyz").status_code == 200
        # The line is kept open; the server does not wait for it.
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "Traceback" not in process.stderr.read()


def test_a_port_that_is_taken_is_one_sentence(tmp_path, capsys, quick):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = run(
            capsys, "serve", "--data", tmp_path / "s", "--settings", quick, "--port", port,
            "--device-port", 0,
        )  # fmt: skip
    assert status == 2
    assert f"127.0.0.1:{port}" in err
    assert err.count("\n") <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["account", "add", "Ada", "--role", "chemist"], "account"),
        (["account", "add", "ada", "--role", "officer"], "roles"),
        (["account", "add", "ada", "--role", "admin", "--role", "chemist"], "without any other role"),
        (["account", "reset", "nobody"], "no account"),
        (["account", "disable", "nobody", "--why", "x"], "no account"),
        (["device", "enrol", "{nothing}", "--fingerprint", "0" * 64, "--site", "x", "--out", "x"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, quick, capsys, arguments, words):
    filled = [one.format(nothing=tmp_path / "nothing") for one in arguments]
    status, out, err = run(capsys, "admin", *filled, "--data", tmp_path / "s", "--settings", quick)
    assert status not in (0, 1)
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_a_log_that_was_edited_is_found(tmp_path, quick, capsys):
    import sqlite3

    options = ["--data", tmp_path / "s", "--settings", quick]
    run(capsys, "admin", "account", "add", "ada", "--role", "chemist", *options)
    run(capsys, "admin", "account", "add", "bob", "--role", "chemist", *options)
    with sqlite3.connect(tmp_path / "s" / "reachback.db") as connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET actor = 'eve' WHERE n = 1")
    connection.close()
    status, _, err = run(capsys, "admin", "verify", *options)
    assert status == 3
    assert "audit 1" in err


# --- settings ----------------------------------------------------------------------------------------------


def test_without_a_file_everything_has_a_value():
    said = settings.read(None)
    assert said == settings.Settings()
    assert said.device_url() == "https://localhost:8444"
    assert (said.limits.device_per_min, said.limits.device_burst) == (60, 200)


def test_settings_of_a_file(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        'database = "postgresql://x/y"\n[desk]\nnames = ["reachback.example"]\nport = 443\n'
        "[devices]\ncertificate_days = 90\n[limits]\nall_per_s = 50\n"
    )
    said = settings.read(path)
    assert said.database == "postgresql://x/y"
    assert said.desk.names == ("reachback.example",)
    assert said.device_url() == "https://reachback.example:8444"
    assert (said.devices.certificate_days, said.limits.all_per_s) == (90, 50.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[desk]\nporrt = 1\n", "desk.porrt"),
        ("[desk]\nport = 'x'\n", "desk.port"),
        ("[desk]\nnames = 'x'\n", "desk.names"),
        ("desk = 1\n", "desk"),
        ("poll_s = 9\n", "poll_s"),
        ("other = 1\n", "settings.other"),
        ("[limits]\nthreads = 0\n", "limits.threads"),
        ("[", "TOML"),
    ],
)
def test_a_setting_that_is_none_is_named(tmp_path, text, words):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=re.escape(words)):
        settings.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ParameterError, match="nothing"):
        settings.read(tmp_path / "nothing.toml")
