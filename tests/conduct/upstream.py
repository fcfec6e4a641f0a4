"""Upstreams over real sockets: each listens on a port of its own on 127.0.0.1 and plays its scripts, one for each
request in the order in which they come. It notes what it saw, on the monotonic clock, in microseconds."""

import asyncio
import socket
import struct
import time

FILLERS = 4  # Connections that fill the queue of a listener with a backlog of none: Linux takes one more than it says.

SEND_BUFFER = 64 * 1024


def now_us():
    return time.monotonic_ns() // 1000


class Request:
    def __init__(self, connection, head, body):
        self.connection, self.head, self.body, self.time = connection, head, body, now_us()


class Connection:
    def __init__(self, number):
        self.number = number
        self.opened = now_us()
        self.closed = None
        self.sent = 0
        self.sent_at = []  # (time, bytes so far)


class Player:
    """One upstream. `upstream` says what it does; `tls` is what it shows if it speaks TLS."""

    def __init__(self, upstream, port=0, tls=None):
        self.upstream = upstream
        self.tls = tls
        self.requests, self.connections = [], []
        self.server = None
        self.fillers = []
        self.tasks = {}  # Of each connection: its task and its writer.
        self.socket = self.bind(port)
        self.port = self.socket.getsockname()[1]

    @staticmethod
    def bind(port):
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.setblocking(False)
        return taken

    async def start(self):
        if self.upstream.meets == "refused":
            return  # Bound, and not listening: nobody else gets the port.
        if self.upstream.meets == "black-hole":
            return await self.fill()
        self.server = await asyncio.start_server(self.serve, sock=self.socket, ssl=self.tls)

    async def fill(self):
        self.socket.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)
        await asyncio.sleep(0.05)

    async def stop(self):
        """As when its process dies: its connections are reset."""
        if self.server:
            self.server.close()
            self.server = None
        self.socket.close()
        for task, writer in list(self.tasks.values()):
            reset(writer)
            task.cancel()
        for filler in self.fillers:
            filler.close()

    async def restart(self):
        self.socket = self.bind(self.port)
        await self.start()

    async def serve(self, reader, writer):
        connection = Connection(len(self.connections))
        self.connections.append(connection)
        # As little as can be stays here: what has been sent has gone to the other side.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.tasks[connection.number] = (asyncio.current_task(), writer)
        playing = None
        try:
            if self.upstream.meets == "reset":
                return reset(writer)
            if self.upstream.meets == "tls:stall":
                await reader.read()
                return
            while True:
                request = await self.read_request(reader, connection)
                if request is None:
                    break
                if playing:
                    await playing
                self.requests.append(request)
                acts = self.upstream.script(len(self.requests)) or []
                playing = asyncio.create_task(self.play(acts, writer, connection))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            pass
        finally:
            connection.closed = connection.closed or now_us()
            if playing:
                playing.cancel()
            self.tasks.pop(connection.number, None)
            writer.close()

    async def read_request(self, reader, connection):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        length, chunked = 0, False
        for line in head.lower().split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.split(":")[1])
            chunked = chunked or line.startswith("transfer-encoding:")
        body = await reader.readexactly(length)
        while chunked:
            size = int(await reader.readline(), 16)
            body += (await reader.readexactly(size + 2))[:size]
            chunked = size > 0
        return Request(connection.number, head, body.decode())

    async def play(self, acts, writer, connection):
        try:
            for act in acts:
                if act[0] == "send":
                    data = act[1].encode()
                    writer.write(data)
                    await writer.drain()
                    connection.sent += len(data)
                    connection.sent_at.append((now_us(), connection.sent))
                elif act[0] == "wait":
                    await asyncio.sleep(act[1] / 1000)
                elif act[0] == "reset":
                    return reset(writer)
                elif act[0] == "stall":
                    return
                elif writer.can_write_eof():
                    writer.write_eof()
                else:
                    writer.close()
        except ConnectionError:
            connection.closed = connection.closed or now_us()


def reset(writer):
    """Closes with RST."""
    taken = writer.get_extra_info("socket")
    if taken is not None and taken.fileno() >= 0:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
