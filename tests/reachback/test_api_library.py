"""The library loop over HTTP: candidates, approvals, releases, and what tablets are handed."""

from __future__ import annotations

import re
import shutil

import pytest

pytest.importorskip("tuf", reason="signed releases need the extra [reachback]")

from spectralid import write
from spectralid.casework.enrolment import enrolled
from spectralid.casework.store import CaseStore
from spectralid.cli import main
from spectralid.library.installed import open_installed
from spectralid.reachback.releases import candidates, regression, release, repository
from spectralid.reachback.releases.regression import Line, Regression
from spectralid.reachback.store import audit
from tests.reachback import bench
from tests.reachback.agency import Agency
from tests.reachback.bench import SUBSTANCES, spectrum
from tests.reachback.desk import says

A, B, *_ = SUBSTANCES
BASE = [(slug, number) for number, slug in enumerate(SUBSTANCES[1:6])]
NEW = {"slug": A, "name": "Substance A", "cas": "50-00-0"}


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The agency's own library, and its held-out spectra."""
    folder = tmp_path_factory.mktemp("prepared")
    bench.build(folder / "library.h5", BASE)
    held = folder / "library" / "held-out"
    held.mkdir(parents=True)
    lines = ["file,answer"]
    for slug in SUBSTANCES[1:6]:
        for seed in (701, 702):
            write(spectrum(slug, seed=seed), held / f"{slug}-{seed}.jdx")
            lines.append(f"{slug}-{seed}.jdx,{slug}")
    (held / "held-out.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def set_up(server, prepared):
    shutil.copytree(prepared, server.desk.db.folder, dirs_exist_ok=True)
    return Agency(release.repository_of(release.folder_of(server.desk.db)))


@pytest.fixture
def unjudged(monkeypatch):
    """For what is not about what the engine says of the held-out spectra."""
    line = Line("all", 10, 10, 10, 10, 10, 0, 0, 0, 0, 1.0)
    monkeypatch.setattr(
        regression,
        "compare",
        lambda before, after, *_, **__: Regression(before.name, after.name, (line,), (), ()),
    )


def case(desk, slug=A, **options):
    done = bench.scan(desk, slug, **options)
    desk.decide(desk.lease(done.case), says(slug))
    return done


def proposal(done, **more):
    return {"case_id": done.case, "seq": done.seq, "compound": NEW, **more}


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    return reply.status_code, reply.json()["code"]


def test_from_a_proposal_to_the_files_that_a_tablet_is_handed(server, set_up, unjudged):
    desk = server.desk
    libby, noor, omar = (server.client("librarian", name=name) for name in ("libby", "noor", "omar"))
    reply = libby.post("/v1/library/candidates", json=proposal(case(desk), owner="Agency"))
    assert reply.status_code == 201, reply.text
    one = reply.json()
    assert (one["state"], one["status"], one["proposed_by"]) == ("pending", "presumptive", "libby")
    address = f"/v1/library/candidates/{one['candidate']}"
    said = {"sha256": one["sha256"]}
    assert code(libby.post(f"{address}/approve", json=said)) == (403, "same-person")
    assert code(noor.post(f"{address}/approve", json={"sha256": "0" * 64})) == (409, "conflict")
    assert noor.post(f"{address}/approve", json=said).json()["state"] == "pending"
    assert code(libby.post("/v1/library/releases", json={})) == (422, "release")
    assert omar.post(f"{address}/approve", json=said).json()["state"] == "approved"
    assert omar.get("/v1/library/candidates", params={"state": "approved"}).json()["candidates"] == [
        omar.get(address).json()
    ]
    reply = libby.post("/v1/library/releases", json={"version": "v1"})
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert (made["number"], made["version"], made["published_utc"]) == (1, "v1", "")
    assert made["manifest"]["regression"]["worse"] == []
    (staged,) = (set_up.folder / "staged").iterdir()
    repository.sign(staged, set_up.targets_keys[0])
    set_up.publish()
    assert release.note_published(desk.db, release.folder_of(desk.db), by="libby", now=desk.time)
    assert libby.get("/v1/library/releases").json()["releases"][0]["published_utc"]
    assert libby.get(address).json()["release"] == 1
    tablet = server.tablet(desk.tablet.device_id)
    newest = tablet.get("/v1/library/metadata/timestamp.json")
    assert newest.content == set_up.file("timestamp.json").read_bytes()
    assert newest.headers["content-type"] == "application/json"
    (file,) = (set_up.folder / "targets").glob("*.h5")
    got = tablet.get(f"/v1/library/targets/{file.name}")
    assert got.content == file.read_bytes()
    assert audit.verify(desk.db) == ()


def test_only_files_of_the_repository_and_only_to_tablets(server, set_up):
    tablet = server.tablet(server.desk.tablet.device_id)
    for path in (
        "metadata/99.root.json", "metadata/..%2f..%2flibrary.h5", "targets/x", "staged/2.targets.json",
        "metadata/%2e%2e", "keys/passphrase",
    ):  # fmt: skip
        assert tablet.get(f"/v1/library/{path}").status_code == 404, path
    for role in ("librarian", "chemist", "admin", "auditor"):
        assert server.client(role).get("/v1/library/metadata/timestamp.json").status_code == 403
    assert server.client().get("/v1/library/metadata/timestamp.json").status_code == 401


def test_what_is_refused_says_why(server, set_up):
    libby = server.client("librarian")
    done = case(server.desk)
    address = "/v1/library/candidates"
    assert code(libby.post(address, json=proposal(done, compound=None))) == (422, "candidate")
    assert code(libby.post(address, json=proposal(done, substance=B))) == (422, "candidate")
    assert code(libby.post(address, json=proposal(done, compound=None, substance=B))) == (422, "candidate")
    assert code(libby.post(address, json=proposal(done, seq=99))) == (404, "not-found")
    assert code(libby.post(address, json=proposal(done, case_id="C-0"))) == (404, "not-found")
    assert code(libby.post(address, json=proposal(done, colour="red")))[0] == 422
    assert libby.post(address, json=proposal(done)).status_code == 201
    assert code(libby.post(address, json=proposal(done))) == (409, "conflict")
    assert code(libby.post(f"{address}/1/reject", json={"why": ""}))[0] == 422
    assert libby.post(f"{address}/1/reject", json={"why": "wet"}).json()["state"] == "rejected"
    assert code(libby.get(f"{address}/7")) == (404, "not-found")


def test_candidates_of_other_places_are_not_there(server, set_up):
    libby, southern = server.client("librarian"), server.client("librarian", sites=["south"])
    done = case(server.desk)
    assert code(southern.post("/v1/library/candidates", json=proposal(done))) == (404, "not-found")
    one = libby.post("/v1/library/candidates", json=proposal(done)).json()
    assert southern.get("/v1/library/candidates").json() == {"candidates": []}
    assert code(southern.get("/v1/library/candidates/1")) == (404, "not-found")
    said = {"sha256": one["sha256"]}
    assert code(southern.post("/v1/library/candidates/1/approve", json=said)) == (404, "not-found")


# --- by the commands, and over a real line -----------------------------------------------------------------


@pytest.fixture
def run(tmp_path, capsys):
    """A command of the server in a folder, and what it prints."""
    (tmp_path / "pass").write_text("correct horse battery\n")
    (tmp_path / "quick.toml").write_text(
        "[accounts]\nargon2_time = 1\nargon2_memory_kib = 8\nargon2_lanes = 1\n"
    )
    server = ["--data", str(tmp_path / "server"), "--settings", str(tmp_path / "quick.toml")]

    def command(*words, expect=0):
        where = [] if words[0] in ("sign", "key") else server
        assert main(["reachback", "release", *map(str, words), *where]) == expect
        return capsys.readouterr().out

    return command


def test_the_commands_from_keys_to_a_tablet_with_a_certificate(run, tmp_path, prepared, capsys, unjudged):
    """Keys, candidate, two approvals, release, signature, publication; then a tablet asks by its own line."""
    from spectralid.reachback.api import serve
    from tests.reachback.desk import Desk
    from tests.reachback.http import QUICK, Server
    from tests.reachback.running import running
    from tests.reachback.test_api_tls import enrol

    folder, keys, secret = tmp_path / "server", tmp_path / "keys", ["--passphrase-file", tmp_path / "pass"]
    shutil.copytree(prepared, folder)
    said = run("init", "--keys", keys, *secret)
    print_of_root = said.split("fingerprint: ")[1].splitlines()[0]
    assert sorted(path.name for path in keys.glob("*.key")) == [
        "root-1.key", "root-2.key", "root-3.key", "targets-1.key",
    ]  # fmt: skip
    with_db = serve.open_desk(folder, QUICK)
    desk = Desk(with_db.db)
    desk.time = with_db.now()
    done = case(desk)
    one = candidates.propose(
        desk.db, done.case, done.seq, 0, substance=bench.compound(A, cas="50-00-0"), by="libby",
        now=desk.time, library=release.library_in_force(desk.db, release.folder_of(desk.db)),
    )  # fmt: skip
    tokens = Server(desk)
    for name, role in (("noor", "librarian"), ("omar", "librarian"), ("cora", "chemist")):
        (tmp_path / name).write_text(tokens.account(role, name=name)[1])
    with_db.db.close()
    assert main(
        [
            "reachback",
            "release",
            "approve",
            "1",
            "--data",
            str(folder),
            "--token-file",
            str(tmp_path / "cora"),
        ]
    )
    for name in ("noor", "omar"):
        said = run("approve", one.candidate, "--token-file", tmp_path / name)
    assert "approved: 2 of 2" in said
    assert "approved" in run("candidates")
    said = run("make", "--version", "v1", "--min-engine", "0.1")
    assert "1 new references" in said
    staged = said.split("Waits for signatures: ")[1].strip()
    assert "signed; it has 1 signature." in run("sign", staged, "--key", keys / "targets-1.key", *secret)
    assert "Re-search R-" in run("publish")
    assert run("refresh") == "Signed anew: nothing, nothing is due.\n"
    assert "release    1: v1" in run("show")

    root = folder / "library" / "repository" / "metadata" / "1.root.json"
    tablet = tmp_path / "tablet"
    trust = ["library", "update", "--data", str(tablet), "--trust", str(root), "--fingerprint"]
    assert main([*trust, "00" * 32]) == 4
    assert main([*trust, print_of_root]) == 0
    with running(folder) as (live, addresses):
        with CaseStore.open(tablet, device_id="tablet-9", ballast_bytes=4096) as store:
            enrol(live, addresses, store)
            assert enrolled(store).url == addresses.devices
        capsys.readouterr()
        assert main(["library", "update", "--data", str(tablet)]) == 0
        assert capsys.readouterr().out.startswith("In force: Library agency v1, 0 days old.")
        assert main(["library", "update", "--data", str(tablet)]) == 0
        assert "no newer one" in capsys.readouterr().out
    with open_installed(tablet / "library") as library:
        assert A in {info.compound_slug for info in library.references}

    # New keys of the server, signed by two of the three of the root; then the tablet asks a stick.
    run("rotate", "--online")
    (staged,) = (folder / "library" / "repository" / "staged").iterdir()
    run("publish", expect=3)
    for key in ("root-1.key", "root-3.key"):
        run("sign", staged, "--key", keys / key, *secret)
    assert run("publish") == "Published.\n"
    stick = tmp_path / "stick"
    shutil.copytree(folder / "library" / "repository", stick)
    assert main(["library", "update", "--data", str(tablet), "--from", str(stick)]) == 0
    newest = stick / "metadata" / "timestamp.json"
    newest.write_bytes(re.sub(rb'("version": ?)(\d+)', rb"\g<1>9\2", newest.read_bytes()))
    capsys.readouterr()
    assert main(["library", "update", "--data", str(tablet), "--from", str(stick)]) == 4
    assert "The library in force stays" in capsys.readouterr().err
    assert main(["library", "update", "--data", str(tablet), "--show", "--json"]) == 0
    assert '"number": 1' in capsys.readouterr().out


def test_a_library_that_answers_worse_is_refused_by_the_command(run, tmp_path, prepared, capsys):
    folder = tmp_path / "server"
    shutil.copytree(prepared, folder)
    run("init", "--keys", tmp_path / "keys", "--passphrase-file", tmp_path / "pass")
    from spectralid.reachback.api import serve
    from spectralid.reachback.releases import approval
    from tests.reachback.desk import Desk
    from tests.reachback.http import QUICK

    here = serve.open_desk(folder, QUICK)
    desk = Desk(here.db)
    done = bench.scan(desk, SUBSTANCES[2], measured=spectrum(B, seed=42))
    desk.decide(desk.lease(done.case), says(SUBSTANCES[2]))
    one = candidates.propose(
        desk.db, done.case, done.seq, 0, substance=SUBSTANCES[2], by="libby", now=desk.time,
        library=release.library_in_force(desk.db, release.folder_of(desk.db)),
    )  # fmt: skip
    for person in ("noor", "omar"):
        approval.approve(desk.db, one.candidate, by=person, sha256=one.sha256, now=desk.time)
    here.db.close()
    said = run("make", expect=21)
    assert "worse: 8 answers are right and 10 were." in said
