"""By stick or by HTTPS, in any mixture: the same packets, the same answers, each once."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from spectralid.casework import exchange, inbox, outbox
from spectralid.casework.enrolment import EnrolmentError
from spectralid.casework.exchange import ExchangeError, export_packets, import_answers
from spectralid.casework.sync import SyncReport
from tests.casework.field import Field, enrolled_field
from tests.casework.server_double import ServerKey, loses_reply, open_envelope


@pytest.fixture
def field(tmp_path):
    with enrolled_field(tmp_path / "field") as made:
        yield made


@pytest.fixture
def stick(tmp_path) -> Path:
    return tmp_path / "stick"


def carry_to_server(field: Field, stick: Path) -> None:
    """What the agency does with a stick: take every packet in, lay the receipts and answers on it."""
    for file in sorted(stick.glob("*.sidpkt")):
        receipt = field.server.accept(file.read_bytes())
        (stick / f"{file.stem}-receipt.sidmsg").write_bytes(receipt)
    for n, answer in enumerate(field.server.answers, 1):
        (stick / f"answer-{n:04d}.sidmsg").write_bytes(answer)


def test_a_stick_carries_packets_there_and_receipts_and_answers_back(field, stick):
    made = field.capture(3)
    assert export_packets(field.store, stick).written == 3
    assert sorted(file.read_bytes() for file in stick.iterdir()) == sorted(map(field.store.raw, made))
    field.server.answer("tablet-7", packet_ids=[made[0]])
    carry_to_server(field, stick)
    done = import_answers(field.store, stick)
    assert (done.taken, done.known, done.refused, done.answers) == (4, 0, (), ("answer-1",))
    assert field.states() == ["answered", "received", "received"]
    field.nothing_lost_nothing_twice()


def test_everything_about_a_stick_can_be_done_twice(field, stick):
    field.capture(2)
    export_packets(field.store, stick)
    again = export_packets(field.store, stick)
    assert (again.written, again.already) == (0, 2)
    field.server.answer("tablet-7")
    carry_to_server(field, stick)
    import_answers(field.store, stick)
    entries = len(field.store.custody.entries())
    twice = import_answers(field.store, stick)
    assert (twice.taken, twice.known) == (0, 3)
    assert len(field.store.custody.entries()) == entries


def test_only_what_has_no_receipt_is_written_unless_all_is_asked_for(field, stick):
    field.capture(2)
    with field.sync() as sync:
        sync.once()
    field.capture(1)
    assert export_packets(field.store, stick).written == 1
    assert export_packets(field.store, stick, everything=True).written == 2
    assert len(list(stick.glob("*.sidpkt"))) == 3


def test_stick_and_https_mixed_give_one_result(field, stick):
    """HTTPS lost its reply, the stick went too, and the answers come both ways."""
    made = field.capture(4)
    field.server.script("packets", loses_reply)
    export_packets(field.store, stick)
    with field.sync() as sync:
        sync.once()
        carry_to_server(field, stick)
        field.server.answer("tablet-7")
        import_answers(field.store, stick)
        field.clock.advance(600)
        assert sync.once().answers == ("answer-1",)
        carry_to_server(field, stick)
        assert import_answers(field.store, stick).taken == 0
        field.clock.advance(600)
        assert sync.once() == SyncReport(online=True)
    assert field.states() == ["received"] * 4
    assert len(field.server.packets) == len(made)
    assert len(inbox.all(field.store)) == 1
    assert field.kinds().count("received") == 4
    field.nothing_lost_nothing_twice()


def test_a_stick_out_of_order_restores_the_chain(field, stick):
    field.capture(4)
    export_packets(field.store, stick)
    for file in sorted(stick.glob("*.sidpkt"), reverse=True):
        field.server.accept(file.read_bytes())
    with field.sync() as sync:
        sync.once()
    chain = [field.server.packets["tablet-7", seq] for seq in range(1, 5)]
    from spectralid.casework.packet import open_packet

    packets = [open_packet(raw, None) for _, raw, _ in chain]
    assert [p.prev for p in packets[1:]] == [sha256 for sha256, _, _ in chain[:-1]]


def test_bad_files_are_refused_one_by_one_and_the_rest_goes_on(field, stick, tmp_path):
    field.capture(1)
    export_packets(field.store, stick)
    field.server.answer("tablet-7")
    carry_to_server(field, stick)
    good = (stick / "answer-0001.sidmsg").read_bytes()
    bad = {
        "a-empty": b"",
        "a-noise": os.urandom(500),
        "a-cut": good[:-30],
        "a-foreign": ServerKey().envelope("application/vnd.spectralid.answer+json", b"{}"),
        "a-other-device": field.server.make_answer("tablet-8", 1),
        "a-newer": field.server.key.envelope(
            "application/vnd.spectralid.answer+json", {"schema": "spectralid.answer/2"}
        ),
        "a-huge": b" " * 3_000_000,
        "a-not-made-here": field.server.receipt("tablet-7", 1, "ab" * 32),
        "a-packet": field.server.packets["tablet-7", 1][1],
    }
    for name, data in bad.items():
        (stick / f"{name}.sidmsg").write_bytes(data)
    (stick / "a-folder.sidmsg").mkdir()
    (stick / "a-link.sidmsg").symlink_to(tmp_path / "nowhere")
    os.mkfifo(stick / "a-pipe.sidmsg")
    (stick / "readme.txt").write_text("not ours")
    done = import_answers(field.store, stick)
    assert done.taken == 2
    assert len(done.refused) == len(bad) + 3
    for sentence in done.refused:
        name, _, why = sentence.partition(": ")
        assert name.startswith("a-")
        assert why.endswith("."), sentence
    assert field.states() == ["received"]


def test_the_acknowledgement_of_an_answer_travels_by_stick_too(field, stick):
    field.server.answer("tablet-7")
    with field.sync() as sync:
        sync.once()
        field.server.stop()
        inbox.shown(field.store, "answer-1")
        assert export_packets(field.store, stick).written == 1
        (file,) = stick.iterdir()
        said = open_envelope(
            file.read_bytes(), field.store.key.public.raw, "application/vnd.spectralid.shown+json"
        )
        assert said["answer_id"] == "answer-1"
        assert import_answers(field.store, stick).refused == (), "the tablet's own file is passed over"
        field.server.start()
        field.clock.advance(600)
        assert sync.once().acknowledged == ("answer-1",)
    assert field.server.acknowledged["answer-1"] == [file.read_bytes()]


def test_a_half_written_file_of_an_earlier_attempt_is_written_whole(field, stick):
    field.capture(1)
    export_packets(field.store, stick)
    (file,) = stick.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert export_packets(field.store, stick).written == 1
    assert file.read_bytes() == whole


def test_a_full_stick_ends_in_a_sentence_and_leaves_no_torn_file(field, stick, monkeypatch):
    field.capture(3)
    written = []
    honest = exchange._write

    def fills_up(path: Path, data: bytes) -> None:
        if len(written) == 2:
            path.with_name(f"{path.name}.part").write_bytes(data[:10])
            raise OSError(28, "No space left on device")
        written.append(path)
        honest(path, data)

    monkeypatch.setattr(exchange, "_write", fills_up)
    with pytest.raises(ExchangeError, match=r"No space left.*2 files are complete"):
        export_packets(field.store, stick)
    monkeypatch.undo()
    assert len(list(stick.glob("*.sidpkt"))) == 2
    assert field.states() == ["queued"] * 3
    assert export_packets(field.store, stick).written == 1


def test_a_failing_write_removes_its_draft(field, stick, monkeypatch):
    field.capture(1)

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(exchange.os, "fsync", fails)
    with pytest.raises(ExchangeError, match="Input/output error"):
        export_packets(field.store, stick)
    monkeypatch.undo()
    assert list(stick.iterdir()) == []


def test_a_file_has_its_name_only_once_it_is_whole_and_on_the_stick(field, stick, monkeypatch):
    """However early the stick is pulled out."""
    (packet_id,) = field.capture(1)
    seen = []
    honest = os.fsync

    def watch(handle: int) -> None:
        if stat.S_ISREG(os.fstat(handle).st_mode) and stick.exists():
            seen.extend((file.name, file.read_bytes()) for file in stick.iterdir())
        honest(handle)

    monkeypatch.setattr(exchange.os, "fsync", watch)
    export_packets(field.store, stick)
    monkeypatch.undo()
    name = "tablet-7-0000000001.sidpkt"
    assert seen[0] == (f"{name}.part", field.store.raw(packet_id)), "synced whole, under another name"
    assert [file.name for file in stick.iterdir()] == [name]


def test_a_damaged_packet_is_left_out_and_said(field, stick):
    made = field.capture(3)
    with field.store.transaction() as tx:
        tx.execute("UPDATE packets SET raw = zeroblob(100) WHERE packet_id = ?", (made[1],))
    done = export_packets(field.store, stick)
    assert done.written == 2
    assert len(done.skipped) == 1
    assert "damaged" in done.skipped[0]


def test_packets_leave_by_stick_from_a_store_that_can_only_be_read(field, stick):
    field.capture(2)
    field.reopen(read_only=True)
    assert export_packets(field.store, stick).written == 2


def test_a_tablet_that_has_to_be_enrolled_again_still_hands_over(field, stick):
    """Certificate revoked: HTTPS refuses the tablet, the stick does not."""
    field.capture(2)
    (field.store.folder / "tls.pem").write_bytes(field.certificate(expires_days=-1))
    with field.sync() as sync:
        sync.once()
        assert sync.attention is not None
    export_packets(field.store, stick)
    carry_to_server(field, stick)
    assert import_answers(field.store, stick).taken == 2
    assert field.states() == ["received"] * 2


def test_without_an_enrolment_packets_can_be_handed_over_and_nothing_is_believed(tmp_path, stick):
    field = Field(tmp_path / "new")
    field.capture(2)
    assert export_packets(field.store, stick).written == 2
    with pytest.raises(EnrolmentError, match="not enrolled"):
        import_answers(field.store, stick)
    field.store.close()


def test_a_stick_that_is_not_there(field, tmp_path):
    with pytest.raises(ExchangeError):
        import_answers(field.store, tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExchangeError):
        export_packets(field.store, tmp_path / "file" / "folder")


def test_the_name_of_a_device_cannot_leave_the_stick(tmp_path, stick):
    field = Field(tmp_path / "odd", device_id="../../tab let/7")
    field.capture(1)
    export_packets(field.store, stick)
    assert [file.name for file in stick.iterdir()] == [".._.._tab_let_7-0000000001.sidpkt"]
    field.store.close()


def test_a_server_that_lost_packets_can_ask_for_them_by_stick(field, stick):
    made = field.capture(3)
    with field.sync() as sync:
        sync.once()
    del field.server.packets["tablet-7", 2]
    field.server.utc = "2026-11-23T09:00:00Z"
    stick.mkdir()
    notice = field.server.notice_missing("tablet-7", (2, field.row(made[1]).sha256))
    (stick / "missing.sidmsg").write_bytes(notice)
    assert import_answers(field.store, stick).taken == 1
    shutil.rmtree(stick)
    assert export_packets(field.store, stick).written == 1
    carry_to_server(field, stick)
    assert import_answers(field.store, stick).taken == 1
    assert {row.state for row in outbox.states(field.store)} == {"received"}
    field.nothing_lost_nothing_twice()
