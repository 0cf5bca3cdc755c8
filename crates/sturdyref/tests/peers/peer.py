"""A peer in Python on pycapnp, which takes its TLS from OpenSSL.

  peer.py object-id SCHEMAS URI        TLS with the pinned key and a Bootstrap with the object id, both by hand
  peer.py gateway SCHEMAS HOST PORT ID the Gateway, found by a Bootstrap without an id; no TLS
  peer.py tls-gateway SCHEMAS URI      the same over TLS
  peer.py serve SCHEMAS                a Greeter as the bootstrap object over TLS; prints its fingerprint and port

Clients print what the Greeter answers, or "refused: " and why.
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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

BOOTSTRAP, RETURN = 8, "return"


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fingerprint(certificate_der):
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def with_certificate(context, key):
    """Gives the context a certificate like OCaml's: CN=capnp, no extensions, valid for ever."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "capnp")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(1970, 1, 1))
        .not_valid_after(datetime.datetime(9999, 12, 31))
        .sign(key, algorithm)
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return fingerprint(certificate.public_bytes(serialization.Encoding.DER))


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with_certificate(context, ed25519.Ed25519PrivateKey.generate())
    return context


def check_pin(certificate_der, uri):
    assert fingerprint(certificate_der) == unbase64(uri.password), "wrong key"


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


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise EOFError("the vat closed the connection")
        data += more
    return data


def read_frame(stream):
    head = read_exactly(stream, 8)
    more, first = struct.unpack("<II", head)
    rest = read_exactly(stream, (more + 1) // 2 * 8)
    sizes = [first, *struct.unpack_from("<%dI" % more, rest)]
    return head + rest + read_exactly(stream, 8 * sum(sizes))


def by_object_id(schemas, uri):
    rpc = capnp.load("/usr/include/capnp/rpc.capnp", imports=["/usr/include"])
    greeter = capnp.load(os.path.join(schemas, "greeter.capnp"), imports=["/usr/include"]).Greeter
    uri = urlsplit(uri)
    plain = socket.create_connection((uri.hostname, uri.port))
    stream = client_context().wrap_socket(plain)
    check_pin(stream.getpeercert(binary_form=True), uri)
    stream.sendall(bootstrap_frame(0, unbase64(uri.path[1:])))
    # Pipelined on the Bootstrap, before its answer is here.
    method = greeter.schema.methods["greet"]
    message = rpc.Message.new_message()
    call = message.init("call")
    call.questionId = 1
    call.target.init("promisedAnswer").questionId = 0
    call.interfaceId, call.methodId = greeter.schema.node.id, 0
    call.params.content.as_struct(method.param_type).name = "Python"
    stream.sendall(message.to_bytes())
    for _ in range(2):
        with rpc.Message.from_bytes(read_frame(stream)) as message:
            answer = getattr(message, RETURN)
            if answer.which() == "exception":
                print("refused:", answer.exception.reason)
                return
            if answer.answerId == 1:
                results = answer.results.content.as_struct(method.result_type)
                print(results.greeting)


async def through_gateway(schemas, stream, object_id):
    # The gateway's schema lies beside the crate's code, the Greeter's beside its tests.
    gateway = capnp.load(os.path.join(schemas, "../../schema/gateway.capnp")).Gateway
    greeter = capnp.load(os.path.join(schemas, "greeter.capnp"), imports=["/usr/include"]).Greeter
    client = capnp.TwoPartyClient(stream)
    try:
        restored = await client.bootstrap().cast_as(gateway).restore(object_id)
        answer = await restored.cap.as_interface(greeter).greet("Python")
        print(answer.greeting)
    except capnp.KjException as error:
        print("refused:", error.description)


async def gateway(schemas, host, port, object_id):
    stream = await capnp.AsyncIoStream.create_connection(host, int(port))
    await through_gateway(schemas, stream, object_id.encode())


async def tls_gateway(schemas, uri):
    uri = urlsplit(uri)
    # Once to check the key: pycapnp's own stream doesn't show the certificate.
    context = client_context()
    with context.wrap_socket(socket.create_connection((uri.hostname, uri.port))) as stream:
        check_pin(stream.getpeercert(binary_form=True), uri)
    stream = await capnp.AsyncIoStream.create_connection(uri.hostname, uri.port, ssl=context)
    await through_gateway(schemas, stream, unbase64(uri.path[1:]))


async def serve(schemas):
    greeter = capnp.load(os.path.join(schemas, "greeter.capnp"), imports=["/usr/include"]).Greeter

    class Alice(greeter.Server):
        async def greet(self, name, **kwargs):
            return f"Hello {name}, this is alice in Python"

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = with_certificate(context, ec.generate_private_key(ec.SECP256R1()))

    async def connected(stream):
        await capnp.TwoPartyServer(stream, bootstrap=Alice()).on_disconnect()

    server = await capnp.AsyncIoStream.create_server(connected, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    print(base64.urlsafe_b64encode(own).decode().rstrip("="), port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    if mode == "object-id":
        by_object_id(*arguments)
    else:
        modes = {"gateway": gateway, "tls-gateway": tls_gateway, "serve": serve}
        asyncio.run(capnp.run(modes[mode](*arguments)))


main()
