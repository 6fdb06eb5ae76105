# SPDX-License-Identifier: Apache-2.0
"""with_store.py COMMAND...: runs a command beside a running store; its ports are in <SERVICE>_ADDRESS."""
import os
import subprocess
import sys
import tempfile

from cluster import SERVICES, Cluster

with tempfile.TemporaryDirectory() as folder:
    cluster = Cluster(folder)
    cluster.start()
    env = dict(os.environ)
    for service in SERVICES:
        env[f"{service.upper()}_ADDRESS"] = f"127.0.0.1:{cluster[service].grpc_port}"
        env[f"{service.upper()}_HTTP"] = f"127.0.0.1:{cluster[service].http_port}"
    code = subprocess.run(sys.argv[1:], env=env, check=False).returncode
    cluster.stop()
sys.exit(code)
