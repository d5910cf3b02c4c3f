"""CWire's WebSocket codec, as Python sees it: a connection that takes a client's frames."""

import ctypes
from dataclasses import dataclass, field


class Header(ctypes.Structure):
    _fields_ = [
        ("payload_bytes", ctypes.c_uint64),
        ("mask", ctypes.c_uint8 * 4),
        ("opcode", ctypes.c_uint8),
        ("fin", ctypes.c_bool),
        ("compressed", ctypes.c_bool),
        ("header_bytes", ctypes.c_uint8),
    ]


class Message(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint64),
        ("fragment_count", ctypes.c_uint32),
        ("opcode", ctypes.c_uint8),
        ("compressed", ctypes.c_bool),
        ("utf8", ctypes.c_uint8),
    ]


class Limits(ctypes.Structure):
    _fields_ = [("message_bytes", ctypes.c_uint64), ("fragment_count", ctypes.c_uint32)]


class Bytes(ctypes.Structure):
    _fields_ = [("start", ctypes.c_char_p), ("count", ctypes.c_size_t)]


@dataclass
class Story:
    """What came of a stream: whole frames in order, then the close code, if it came to that."""

    frames: list = field(default_factory=list)  # (opcode, fin, payload)
    code: int | None = None
    failed: bool = False  # the code is that of a violation, not the client's own
    last: bytes = b""  # the stream from the frame on that ended it


class Codec:
    def __init__(self, library):
        self.c = ctypes.CDLL(str(library))
        for name in ("begin_frame", "feed", "end_frame"):
            getattr(self.c, f"ps_ws_message_{name}").restype = ctypes.c_uint16
        self.c.ps_ws_parse_close.restype = ctypes.c_uint16
        self.c.ps_ws_write_header.restype = ctypes.c_size_t

    def accept_key(self, key):
        out = ctypes.create_string_buffer(28)
        self.c.ps_ws_accept_key(out, Bytes(key, len(key)))
        return out.raw

    def server_frame(self, opcode, payload):
        out = ctypes.create_string_buffer(10)
        size = self.c.ps_ws_write_header(
            out, ctypes.c_uint8(opcode), False, ctypes.c_uint64(len(payload))
        )
        return out.raw[:size] + payload

    def take(self, stream, message_bytes, fragments=1 << 30):
        """Takes the stream as a connection does, frame by frame."""
        story = Story()
        message = Message()
        limits = Limits(message_bytes, fragments)
        while story.code is None:
            story.last = stream
            header = Header()
            answer = self.c.ps_ws_parse_header(
                ctypes.byref(header), stream, ctypes.c_size_t(len(stream)), False
            )
            if answer == 0:
                return story
            if answer < 0:
                story.code, story.failed = 1002, True
                return story
            stream = stream[header.header_bytes :]
            if header.opcode < 8:
                code = self.c.ps_ws_message_begin_frame(
                    ctypes.byref(message), ctypes.byref(header), ctypes.byref(limits)
                )
                if code:
                    story.code, story.failed = code, True
                    return story
            if len(stream) < header.payload_bytes:
                return story
            payload, stream = stream[: header.payload_bytes], stream[header.payload_bytes :]
            payload = self._unmasked(payload, header)
            self._take_frame(story, message, header, payload)
        return story

    def _unmasked(self, payload, header):
        out = ctypes.create_string_buffer(payload, len(payload))
        self.c.ps_ws_unmask(out, ctypes.c_size_t(len(payload)), header.mask, ctypes.c_size_t(0))
        return out.raw

    def _take_frame(self, story, message, header, payload):
        size = ctypes.c_size_t(len(payload))
        if header.opcode == 8:
            echo = ctypes.c_uint16()
            code = self.c.ps_ws_parse_close(ctypes.byref(echo), payload, size)
            story.code, story.failed = code or echo.value, code != 0
            return
        if header.opcode < 8:
            complete = ctypes.c_bool()
            code = self.c.ps_ws_message_feed(ctypes.byref(message), payload, size)
            code = code or self.c.ps_ws_message_end_frame(
                ctypes.byref(message), ctypes.byref(header), ctypes.byref(complete)
            )
            if code:
                story.code, story.failed = code, True
                return
            if complete.value:
                ctypes.memset(ctypes.byref(message), 0, ctypes.sizeof(message))
        story.frames.append((header.opcode, header.fin, payload))
