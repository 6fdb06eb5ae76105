# SPDX-License-Identifier: Apache-2.0
"""CloudEvents in their protobuf format, read by foreign code. (Python has a module `io`, so the generated one of
package io.cloudevents cannot be imported by its name: its descriptor is loaded instead.)"""
import pathlib
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc
import os

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _load():
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/set.pb"
        include = os.path.join(os.path.dirname(protoc.__file__), "_proto")
        code = protoc.main(["protoc", f"-I{include}", f"-I{ROOT}/proto/third_party", "--include_imports",
                            f"--descriptor_set_out={out}", "io/cloudevents/v1/cloudevents.proto"])
        assert code == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("io.cloudevents.v1.CloudEvent"))


_CloudEvent = _load()


def event_of(data):
    return _CloudEvent.FromString(data)
