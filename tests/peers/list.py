"""Someone with user.cap who speaks Python: lists the datasets of a fleet as `cli show` does.

  list.py object-id SCHEMAS FILE   restores the capability by its object id in the Bootstrap message
  list.py gateway SCHEMAS FILE     restores it by a call on the Gateway, which a Bootstrap without an id gives

SCHEMAS is a folder with the schemas of zatlas and gateway.capnp. TLS is OpenSSL's, and the
tracker's key is pinned on the connection that is used; the RPC is pycapnp's, over a socket pair.
"""

import asyncio
import base64
import datetime
import hashlib
import os
import socket
import ssl
import struct
import sys
import tempfile
from urllib.parse import urlsplit

import capnp
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

PROTOCOL = 2
BOOTSTRAP = 8


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def context_with_key():
    """A TLS context that shows a key of its own, in a certificate like OCaml's."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "capnp")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(1970, 1, 1))
        .not_valid_after(datetime.datetime(9999, 12, 31))
        .sign(key, None)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        file.flush()
        context.load_cert_chain(file.name)
    return context


def check_pin(certificate_der, pin):
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if hashlib.sha256(spki).digest() != pin:
        raise SystemExit("the tracker has the wrong key")


def bootstrap_frame(question, object_id):
    """Bootstrap with deprecatedObjectId: a pointer in the shape of a Text that holds raw bytes."""
    text = object_id + b"\0"
    words = -(-len(text) // 8)
    body = b"".join(
        [
            struct.pack("<iHH", 0, 1, 1),  # Message
            struct.pack("<Hxxxxxx", BOOTSTRAP),
            struct.pack("<iHH", 0, 1, 1),  # Bootstrap
            struct.pack("<Ixxxx", question),
            struct.pack("<iI", 1, len(text) << 3 | 2),  # deprecatedObjectId
            text.ljust(8 * words, b"\0"),
        ]
    )
    return struct.pack("<II", 0, len(body) // 8) + body


async def read_frame(stream):
    head = await stream.readexactly(8)
    more, first = struct.unpack("<II", head)
    rest = await stream.readexactly((more + 1) // 2 * 8)
    sizes = [first, *struct.unpack_from("<%dI" % more, rest)]
    return head + rest + await stream.readexactly(8 * sum(sizes))


async def bridge(uri, object_id):
    """Connects to the tracker; returns pycapnp's end of the connection.

    pycapnp's first message is a Bootstrap without an id: with `object_id`, one that has it goes out
    in its place.
    """
    far_in, far_out = await asyncio.open_connection(
        uri.hostname, uri.port, ssl=context_with_key(), server_hostname=""
    )
    tls = far_out.get_extra_info("ssl_object")
    check_pin(tls.getpeercert(binary_form=True), unbase64(uri.password))
    ours, theirs = socket.socketpair()
    near_in, near_out = await asyncio.open_connection(sock=ours)

    async def outward():
        if object_id is not None:
            await read_frame(near_in)
            far_out.write(bootstrap_frame(0, object_id))
        while data := await near_in.read(65536):
            far_out.write(data)
            await far_out.drain()

    async def inward():
        while data := await far_in.read(65536):
            near_out.write(data)
            await near_out.drain()

    pumps = [asyncio.ensure_future(outward()), asyncio.ensure_future(inward())]
    return await capnp.AsyncIoStream.create_connection(sock=theirs), pumps


def checked(outcome):
    if outcome.which() == "failure":
        failure = outcome.failure
        raise SystemExit(f"cannot {failure.operation} '{failure.subject}': {failure.zfsMessage}")
    return outcome.ok


async def show(mode, schemas, path):
    load = lambda name: capnp.load(os.path.join(schemas, name), imports=[schemas, "/usr/include"])
    user_schema, dataset_schema = load("user.capnp"), load("dataset.capnp")
    places = {}

    class Sink(dataset_schema.ReplicaSink.Server):
        async def write(self, replicas, **kwargs):
            for replica in replicas:
                place = replica.place
                state = "online" if replica.online else "offline"
                text = f"{place.location}\\{place.machine}\\{place.pool} ({state})"
                places.setdefault(replica.dataset.name, []).append(text)

        async def done(self, **kwargs):
            pass

    with open(path) as file:
        uri = urlsplit(file.read().strip())
    object_id = unbase64(uri.path[1:])
    stream, pumps = await bridge(uri, object_id if mode == "object-id" else None)
    client = capnp.TwoPartyClient(stream)
    if mode == "object-id":
        user = client.bootstrap().cast_as(user_schema.User)
    else:
        gateway = client.bootstrap().cast_as(load("gateway.capnp").Gateway)
        restored = await gateway.restore(object_id)
        user = restored.cap.as_interface(user_schema.User)
    opened = await user.open({"protocol": PROTOCOL, "software": "a peer in Python"})
    fleet = checked(opened.outcome).fleet
    listed = await fleet.list({"pattern": "", "location": ""}, Sink())
    checked(listed.outcome)
    for dataset, where in places.items():
        print(f"{dataset}: {', '.join(where)}")
    for pump in pumps:
        pump.cancel()


async def main():
    try:
        await show(*sys.argv[1:])
    except capnp.KjException as error:
        raise SystemExit(f"refused: {error.description}")


asyncio.run(capnp.run(main()))
