"""A client of Windlass in Python, without generated code: the node describes its own interface.

    pip install -r requirements.txt
    python windlass.py --address 127.0.0.1:7400 --token-file DATA_DIR/token run -- echo hello
    python windlass.py … events            what has happened, and where to go on
    python windlass.py … events --after 42
    python windlass.py --address alpha:7400 --ca cluster.crt … over TLS, to another machine

`Windlass.call` is all that is needed for any call of docs/reference/grpc.md; the functions below
it show what the usual ones look like.
"""

import argparse
import sys
import uuid

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


class Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the token with each call, those of reflection too."""

    def __init__(self, token):
        self.header = ("authorization", f"Bearer {token}")

    def _send(self, proceed, details, request):
        metadata = [*(details.metadata or []), self.header]
        return proceed(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_stream = _send


class Windlass:
    """A node, called by the names of its interface."""

    def __init__(self, address, token, authority=None):
        # A node is near; no proxy leads to it.
        options = [("grpc.enable_http_proxy", 0)]
        if authority is None:
            # To this machine alone: the token would be read along elsewhere.
            channel = grpc.insecure_channel(address, options)
        else:
            channel = grpc.secure_channel(
                address, grpc.ssl_channel_credentials(authority), options
            )
        self.channel = grpc.intercept_channel(channel, Bearer(token))
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.service = pool.FindServiceByName("windlass.v1.Windlass")

    def call(self, name, **fields):
        """Calls `name`; messages in `fields` are dicts. A streamed answer is an iterator."""
        method = self.service.methods_by_name[name]
        request = GetMessageClass(method.input_type)(**fields)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = make(
            f"/{self.service.full_name}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        return call(request)


def submit(node, command, name=""):
    """Submits a job. The key makes it safe to call again where the answer was lost."""
    task = {"name": "main", "command": command}
    job = {"name": name, "tasks": [task]}
    return node.call("Submit", job=job, idempotency_key=str(uuid.uuid4())).run


def follow(node, run):
    """Writes the output of a run as it comes, until the run has ended."""
    for chunk in node.call("Logs", id=str(run), follow=True):
        stream = sys.stdout if chunk.stream == 1 else sys.stderr
        stream.buffer.write(chunk.data)
        stream.flush()


def wait(node, run):
    """Waits for a run; what it exits with, and why in words."""
    for event in node.call("Wait", ids=[str(run)]):
        if event.HasField("ended"):
            return event.ended.exit_code, event.ended.summary
    raise RuntimeError(f"the node told of no end of run {run}")


def events(node, after=None, follow=False):
    """Yields (index, events). Whoever remembers the index goes on after it: nothing is missed."""
    request = {"kept": True, "follow": follow}
    if after is not None:
        request["after"] = after
    for batch in node.call("Events", **request):
        yield batch.index, batch.events


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1:7400")
    parser.add_argument("--ca", help="speak TLS and believe the authority in this file")
    parser.add_argument("--token-file", required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run").add_argument("command", nargs="+")
    verbs.add_parser("events").add_argument("--after", type=int)
    arguments = parser.parse_args()
    authority = None
    if arguments.ca is not None:
        with open(arguments.ca, "rb") as file:
            authority = file.read()
    with open(arguments.token_file, encoding="ascii") as file:
        node = Windlass(arguments.address, file.read().strip(), authority)

    if arguments.verb == "run":
        run = submit(node, arguments.command)
        follow(node, run)
        code, summary = wait(node, run)
        print(f"run {run}: {summary}", file=sys.stderr)
        return code

    index = arguments.after or 0
    for index, batch in events(node, arguments.after):
        for event in batch:
            print(event.kind, event.id or event.node, event.state, event.summary, sep="\t")
    print(f"go on with --after {index}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as refused:
        # The first line says what was wrong, a second one what to do.
        print(f"{refused.code().name}: {refused.details()}", file=sys.stderr)
        sys.exit(125)
