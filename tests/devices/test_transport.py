"""Every way a line fails becomes one error with a kind; a silent one does so by its deadline."""

import errno
import os
import socket
import threading

import pytest
import serial

from spectralid.devices.client.obp import ObpClient
from spectralid.devices.codec.obp import Message
from spectralid.devices.transport import Deadline, SerialTransport, open_transport
from spectralid.errors import TransportError

posix = pytest.mark.skipif(os.name != "posix", reason="this platform has no ptys")


@pytest.fixture
def pty_pair():
    import pty
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    ends = [master, slave]
    yield ends
    for end in ends:
        os.close(end)


def kind_of(call):
    with pytest.raises(TransportError) as caught:
        call()
    assert str(caught.value).startswith("Serial port")
    return caught.value.kind


@posix
def test_bytes_both_ways(pty_pair):
    master, slave = pty_pair
    with open_transport(os.ttyname(slave), 115200) as line:
        assert line.baud == 115200
        line.write(b"question", Deadline(5))
        assert os.read(master, 100) == b"question"
        os.write(master, b"answer")
        assert line.read(6, Deadline(5)) == b"answer"


@posix
def test_silence_ends_at_the_deadline(pty_pair):
    with open_transport(os.ttyname(pty_pair[1]), 9600) as line:
        assert line.read(10, Deadline(0.05)) == b""
        with pytest.raises(TransportError, match="did not answer") as caught:
            ObpClient(line, margin_s=0.05).ask(Message.SERIAL_NUMBER, retries=0)
        assert caught.value.kind == "timeout"


@posix
def test_trickle_ends_at_the_deadline(pty_pair):
    master, slave = pty_pair
    with open_transport(os.ttyname(slave), 9600) as line:
        os.write(master, b"abc")
        assert line.read(10, Deadline(0.05)) == b"abc"


@posix
def test_full_line_ends_at_the_deadline(pty_pair):
    with open_transport(os.ttyname(pty_pair[1]), 9600) as line:
        assert kind_of(lambda: line.write(bytes(1_000_000), Deadline(0.05))) == "timeout"


@posix
def test_second_opener_is_refused(pty_pair):
    name = os.ttyname(pty_pair[1])
    with open_transport(name, 9600):
        assert kind_of(lambda: open_transport(name, 9600)) == "busy"


@posix
def test_unplugged_while_reading_and_writing(pty_pair):
    master, slave = pty_pair
    line = open_transport(os.ttyname(slave), 9600)
    os.close(master)
    os.close(slave)
    pty_pair.clear()
    assert kind_of(lambda: line.read(1, Deadline(1))) == "disconnected"
    assert kind_of(lambda: line.write(b"x", Deadline(1))) == "disconnected"
    line.close()
    line.close()


@pytest.mark.parametrize(
    "name", ["/dev/there-is-no-such-port", "COM987", "nonsense://x", "socket://127.0.0.1:1"]
)
def test_absent(name):
    assert kind_of(lambda: open_transport(name, 9600)) == "absent"


@posix
def test_a_file_is_no_port(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert kind_of(lambda: open_transport(str(file), 9600)) == "absent"


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EACCES, "permission"), (errno.EBUSY, "busy"), (errno.ENOENT, "absent")]
)
def test_kind_comes_from_the_error_number(monkeypatch, number, kind):
    def refuse(*_, **__):
        raise serial.SerialException(number, "could not open")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    assert kind_of(lambda: open_transport("COM1", 9600)) == kind


def test_failures_that_are_no_serial_exception_are_normalised():
    class Broken:
        baudrate = 9600

        def __setattr__(self, *_):
            raise OSError(errno.EIO, "gone")

    assert kind_of(lambda: SerialTransport(Broken(), "COM1").read(1, Deadline(0))) == "disconnected"


def test_network_socket():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo():
            peer, _ = server.accept()
            with peer:
                peer.sendall(peer.recv(5)[::-1])

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        with open_transport(f"socket://127.0.0.1:{server.getsockname()[1]}", 9600) as line:
            assert line.baud is None
            line.write(b"abcde", Deadline(5))
            assert line.read(5, Deadline(5)) == b"edcba"
            assert kind_of(lambda: line.read(5, Deadline(5))) == "disconnected"
        thread.join(5)


@posix
def test_waiting_read_is_called_off_by_another_thread(pty_pair):
    master, slave = pty_pair
    with open_transport(os.ttyname(slave), 9600) as line:
        thread = threading.Thread(target=line.abort)
        thread.start()
        assert kind_of(lambda: line.read(10, Deadline(3600))) == "aborted"
        thread.join()
        # It stays so for whoever comes next, until somebody takes the line over.
        assert kind_of(lambda: line.read(10, Deadline(3600))) == "aborted"
        line.resume()
        os.write(master, b"answer")
        assert line.read(6, Deadline(5)) == b"answer"


def test_urgent_bytes_do_not_land_inside_a_request():
    """Two threads write: each message arrives whole."""
    sent = []

    class Port:
        write_timeout = None

        def write(self, data):
            for start in range(0, len(data), 7):  # as a slow line takes it
                sent.extend(data[start : start + 7])

    line = SerialTransport(Port(), "two writers")
    threads = [
        threading.Thread(target=lambda byte=byte: line.write(bytes([byte]) * 5000, Deadline(60)))
        for byte in (1, 2, 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    blocks = [sent[start : start + 5000] for start in range(0, 15_000, 5000)]
    assert sorted(block[0] for block in blocks) == [1, 2, 3]
    assert all(len(set(block)) == 1 for block in blocks)


def test_writer_that_holds_the_line_too_long_is_a_timeout():
    started, free = threading.Event(), threading.Event()

    class Port:
        write_timeout = None

        def write(self, data):
            started.set()
            assert free.wait(60)

    line = SerialTransport(Port(), "held")
    thread = threading.Thread(target=lambda: line.write(b"request", Deadline(60)))
    thread.start()
    assert started.wait(60)
    assert kind_of(lambda: line.write(b"off", Deadline(0.0))) == "timeout"
    free.set()
    thread.join()
