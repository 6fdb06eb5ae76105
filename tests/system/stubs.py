# SPDX-License-Identifier: Apache-2.0
"""Python code of our contracts, by grpcio-tools: what any foreign client would do. Who imports it can import that."""
import atexit
import os
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def generate_stubs():
    from grpc_tools import protoc

    out = tempfile.mkdtemp(prefix="cmesh-stubs.")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    protos = [str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto/fashion").rglob("*.proto")]
    protos += ["mesh/v1/options.proto", "buf/validate/validate.proto", "protobuf-c/protobuf-c.proto"]
    include = os.path.join(os.path.dirname(protoc.__file__), "_proto")
    arguments = ["protoc", f"-I{include}", f"-I{ROOT}/proto", f"-I{ROOT}/proto/third_party", "-I/usr/include",
                 f"--python_out={out}", f"--grpc_python_out={out}", *protos]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed")
    for name in ("protobuf-c/protobuf-c.proto",):  # "-" is "_" in Python's module names
        assert (pathlib.Path(out) / name.replace("-", "_").replace(".proto", "_pb2.py")).exists()
    sys.path.insert(0, out)


generate_stubs()
