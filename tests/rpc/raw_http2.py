"""HTTP/2 spoken frame by frame, as a client that keeps to no manners can."""

import socket
import struct
import time

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

_HEADS = (h2.events.ResponseReceived, h2.events.TrailersReceived)
SELECT_STREAM = "/nextlabel.v1.QuerySelectionService/SelectStream"


class RawConnection:
    """One connection to a server; its frames are sent as they are asked for."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        config = h2.config.H2Configuration(validate_outbound_headers=False)
        self._h2 = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        self._flush()
        self.events: list[h2.events.Event] = []
        self.await_event(h2.events.RemoteSettingsChanged)

    @property
    def max_streams(self) -> int:
        """How many streams the server lets be open at once."""
        return self._h2.remote_settings.max_concurrent_streams

    @property
    def next_stream(self) -> int:
        """The number that the next stream will have."""
        return self._h2.get_next_available_stream_id()

    def open_stream(self, method: str = SELECT_STREAM, more: tuple = ()) -> int:
        """Begins a call, and sends nothing of it."""
        stream = self.next_stream
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *more,
        ]
        self._h2.send_headers(stream, headers)
        self._flush()
        return stream

    def ignore_max_streams(self) -> None:
        """Opens streams from now on, however many there may be."""
        self._h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 2**31 - 1
        self._h2.remote_settings.acknowledge()

    def take_no_data(self) -> None:
        """Lets the server send heads from now on, and nothing of any message."""
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        self._flush()

    def send_message(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """A message as gRPC frames it."""
        self.send_data(stream, struct.pack(">BI", 0, len(data)) + data, end=end)

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._h2.send_data(stream, data, end_stream=end)
        self._flush()

    def status_of(self, stream: int) -> str:
        """The grpc-status that a call ends with."""
        ended = self.await_event(h2.events.StreamEnded, stream_id=stream)
        assert ended
        heads = [e for e in self.events if isinstance(e, _HEADS) and e.stream_id == stream]
        return {k: v for head in heads for k, v in head.headers}[b"grpc-status"].decode()

    def reset(self, stream: int) -> None:
        self._h2.reset_stream(stream)
        self._flush()

    def ping(self) -> None:
        self._h2.ping(bytes(8))
        self._flush()

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def await_event(self, kind: type, seconds: float = 5.0, **fields: object):
        """The first event of that kind, with these fields, from now on or before; None if none."""
        give_up = time.monotonic() + seconds
        while True:
            for event in self.events:
                if isinstance(event, kind) and fields.items() <= _fields(event).items():
                    return event
            if not self._receive(give_up - time.monotonic()):
                return None

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _receive(self, seconds: float) -> bool:
        """Takes what comes next; False when nothing comes in time, or no more."""
        if seconds <= 0:
            return False
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(1 << 16)
        except (TimeoutError, ConnectionError):
            return False
        if not data:
            return False
        self.events += self._h2.receive_data(data)
        self._flush()
        return True

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def _fields(event: h2.events.Event) -> dict:
    return {name: getattr(event, name) for name in dir(event) if not name.startswith("_")}
