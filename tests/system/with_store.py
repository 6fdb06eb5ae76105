# SPDX-License-Identifier: Apache-2.0
"""with_store.py [NAME=VALUE...] COMMAND...: runs a command beside a running store.

NAME=VALUE are settings of services, such as ORDER_PAY_WINDOW_MS=3000. For each service the command finds
ADDRESS_<SERVICE> (gRPC), HTTP_<SERVICE>, PID_<SERVICE>, and START_<SERVICE>: what starts it again in a shell.
"""
import itertools
import os
import shlex
import subprocess
import sys
import tempfile

from cluster import SERVICES, Cluster

settings = dict(a.split("=", 1) for a in itertools.takewhile(lambda a: "=" in a, sys.argv[1:]))
with tempfile.TemporaryDirectory() as folder:
    cluster = Cluster(folder, settings)
    cluster.start()
    env = dict(os.environ)
    for service in SERVICES:
        process = cluster[service]
        own = {k: v for k, v in cluster.env(service).items() if os.environ.get(k) != v}
        own["MESH_GRPC_LISTEN"] = f"127.0.0.1:{process.grpc_port}"
        own["MESH_HTTP_LISTEN"] = f"127.0.0.1:{process.http_port}"
        words = ["env", *(f"{k}={v}" for k, v in own.items()), str(cluster.binary(service)), "serve"]
        env[f"ADDRESS_{service.upper()}"] = f"127.0.0.1:{process.grpc_port}"
        env[f"HTTP_{service.upper()}"] = f"127.0.0.1:{process.http_port}"
        env[f"PID_{service.upper()}"] = str(process.popen.pid)
        env[f"START_{service.upper()}"] = shlex.join(words)
    code = subprocess.run(sys.argv[1 + len(settings):], env=env, check=False).returncode
    cluster.stop()
sys.exit(code)
