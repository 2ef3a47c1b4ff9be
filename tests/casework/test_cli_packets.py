"""``spectralid packets`` does what an officer and an administrator do with a stick and a terminal."""

import json

import pytest

from spectralid.casework import enrolment, inbox
from spectralid.cli import main
from tests.casework.field import Field, enrolled_field


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path / "field") as made:
        yield made


@pytest.fixture
def packets(field, capsys):
    """Run the command on the tablet's record, closed meanwhile; exit code, output, errors."""

    def run(*words):
        field.store.close()
        code = main(["packets", words[0], "--data", str(field.store.folder), *map(str, words[1:])])
        field.store = field.open()
        return code, *capsys.readouterr()

    return run


def test_list_says_where_each_packet_stands(field, packets):
    made = field.capture(2)
    code, out, _ = packets("list")
    assert code == 0
    assert all(packet_id in out for packet_id in made)
    assert out.endswith("2 queued, 0 sending, 0 received, 0 answered, 0 attention\n")
    told = json.loads(packets("list", "--json")[1])
    assert [row["state"] for row in told["packets"]] == ["queued", "queued"]
    assert json.loads(packets("list", "--json", "--state", "received")[1])["packets"] == []


def test_a_stick_there_and_back(field, packets, tmp_path):
    field.capture(2)
    stick = tmp_path / "stick"
    code, out, _ = packets("export", stick)
    assert (code, "2 files written" in out) == (0, True)
    for file in sorted(stick.glob("*.sidpkt")):
        (stick / f"{file.stem}.sidmsg").write_bytes(field.server.accept(file.read_bytes()))
    (stick / "answer.sidmsg").write_bytes(field.server.answer("tablet-7"))
    code, out, err = packets("import", stick)
    assert (code, err) == (0, "")
    assert "3 messages taken" in out
    assert field.states() == ["received"] * 2
    (stick / "zz.sidmsg").write_bytes(b"noise")
    code, out, err = packets("import", stick)
    assert code == 3
    assert err.startswith("zz.sidmsg: ")
    assert "3 were known" in out


def test_export_works_beside_the_running_tablet(field, tmp_path, capsys):
    field.capture(2)
    code = main(["packets", "export", "--data", str(field.store.folder), str(tmp_path / "stick")])
    assert code == 0
    assert len(list((tmp_path / "stick").iterdir())) == 2


def test_what_writes_says_that_the_tablet_is_running(field, tmp_path, capsys):
    (tmp_path / "stick").mkdir()
    assert main(["packets", "import", "--data", str(field.store.folder), str(tmp_path / "stick")]) == 3
    assert "another program" in capsys.readouterr().err


def test_send_exchanges_once(field, packets):
    made = field.capture(2)
    field.server.answer("tablet-7", packet_ids=[made[0]])
    code, out, _ = packets("send")
    assert (code, out) == (0, "2 packets received by the server, 0 to be tried again; 1 new answers.\n")
    assert field.states() == ["answered", "received"]
    assert len(inbox.unread(field.store)) == 1


def test_send_without_a_server_says_why(field, packets):
    field.capture(1)
    field.server.stop()
    code, _, err = packets("send")
    assert code == 3
    assert "cannot be reached" in err


def test_show_prints_the_manifest_by_number_id_or_file(field, packets, tmp_path):
    (packet_id,) = field.capture(1)
    file = tmp_path / "one.sidpkt"
    file.write_bytes(field.store.raw(packet_id))
    shown = [json.loads(packets("show", what)[1]) for what in ("1", packet_id, file)]
    assert shown[0]["manifest"]["packet_id"] == packet_id
    assert shown[0] == shown[1] == shown[2]
    code, _, err = packets("show", "99")
    assert code == 3
    assert "'99'" in err


def test_verify_tells_whole_from_changed(field, packets, tmp_path):
    (packet_id,) = field.capture(1)
    raw = field.store.raw(packet_id)
    good, bad, foreign = (tmp_path / name for name in ("good", "bad", "foreign"))
    good.write_bytes(raw)
    bad.write_bytes(raw[:-1])
    other = Field(tmp_path / "other")
    foreign.write_bytes(other.store.raw(other.capture(1)[0]))
    other.store.close()
    assert packets("verify", good)[0] == 0
    code, out, err = packets("verify", good, bad, foreign, tmp_path / "nowhere")
    assert code == 3
    assert out.count("whole, signed") == 1
    assert [line.split(": ")[0] for line in err.splitlines()] == [
        str(bad),
        str(foreign),
        str(tmp_path / "nowhere"),
    ]


def test_verify_looks_at_the_whole_record(field, packets):
    field.capture(3)
    assert packets("verify")[0] == 0
    with field.store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = zeroblob(50) WHERE seq = 2")
    code, _, err = packets("verify")
    assert code == 3
    assert "packet 2" in err


def test_request_and_enrol(tmp_path, capsys):
    field = Field(tmp_path / "field")
    folder = ["--data", str(field.store.folder)]
    field.store.close()
    wanted = tmp_path / "request.sidmsg"
    assert main(["packets", "request", *folder, str(wanted)]) == 0
    assert enrolment.fingerprint(wanted.read_bytes()) in capsys.readouterr().out
    field.store = field.open()
    field.server.port = 8443
    file = tmp_path / "enrolment.json"
    file.write_bytes(field.enrolment())
    field.store.close()
    assert main(["packets", "enrol", *folder, str(file)]) == 3
    told = enrolment.fingerprint(file.read_bytes())
    assert told in capsys.readouterr().err
    assert main(["packets", "enrol", *folder, str(file), "--fingerprint", told]) == 0
    assert "tablet-7 with https://localhost:8443" in capsys.readouterr().out


def test_no_record_there_is_said_and_none_is_made(tmp_path, capsys):
    for words in (["list"], ["export", "x"], ["send"], ["verify"]):
        assert main(["packets", words[0], "--data", str(tmp_path / "none"), *words[1:]]) == 2
    assert "--data must be" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
