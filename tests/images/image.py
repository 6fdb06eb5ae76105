# SPDX-License-Identifier: Apache-2.0
"""An image archive, unpacked, and what runs in it: as nobody special, with a root that is read only, as on a node."""
import gzip
import hashlib
import json
import os
import signal
import subprocess
import tarfile

USER = 65532
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
# First a mount namespace, as its root; then the image's user, without any right over that namespace.
IN_ROOT = r"""
set -eu
root=$1
mounts=$2
shift 2
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for each in $mounts; do
    mount --bind "${each%%:*}" "$root${each#*:}"
done
mount -o remount,bind,ro "$root"
exec unshare --user --map-user=65532 --map-group=65532 --root="$root" --wd=/ "$@"
"""
OUTER = [*AS_USER, "unshare", "--user", "--map-root-user", "--mount"]


def can_run():
    return subprocess.run([*OUTER, "true"], stderr=subprocess.DEVNULL).returncode == 0


def folder_for_user(path):
    """A folder that the image's user may write."""
    path.mkdir()
    if AS_USER:
        os.chown(path, USER, USER)
    return path


class Process:
    def __init__(self, log, command, env, stop_signal):
        self.log, self.stop_signal = log, stop_signal
        with open(log, "wb") as file:
            self.popen = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def said(self):
        return self.log.read_text(errors="replace")

    def refuse_ended(self):
        if self.popen.poll() is not None:
            raise RuntimeError(f"it ended with {self.popen.returncode}:\n{self.said()}")

    def wait(self, seconds=20):
        return self.popen.wait(seconds)

    def stop(self, number=None):
        """As a runtime does, by default by the image's signal."""
        if self.popen.poll() is None:
            self.popen.send_signal(number or self.stop_signal)
            try:
                self.popen.wait(15)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()


class Image:
    def __init__(self, path, root):
        self.path, self.name, self.root = path, path.stem, root
        root.mkdir()
        self.sbom = json.loads(path.with_suffix(".spdx.json").read_text())
        with tarfile.open(path) as tar:
            self.blobs = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        self.index = json.loads(self.blobs["index.json"])
        self.manifest = json.loads(self.blob(self.index["manifests"][0]))
        self.about = json.loads(self.blob(self.manifest["config"]))
        self.config = self.about["config"]
        self.layers = [gzip.decompress(self.blob(layer)) for layer in self.manifest["layers"]]
        for layer in self.layers:
            subprocess.run(["tar", "-xpf", "-", "-C", self.root], input=layer, check=True)
        for name in ("dev", "proc"):  # where a runtime mounts something
            (self.root / name).mkdir()

    def blob(self, entry):
        data = self.blobs["blobs/" + entry["digest"].replace(":", "/")]
        assert entry["digest"] == "sha256:" + hashlib.sha256(data).hexdigest() and entry["size"] == len(data)
        return data

    def files(self):
        """Its files, without links, as paths in the image."""
        return [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]

    def start(self, log, *arguments, env=None, mounts=None, program=None):
        """The entry point, or another program, with the arguments. mounts: folders of this machine by their place in the image."""
        mounts = mounts or {}
        for place in mounts:
            (self.root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)  # as a runtime does
        command = [*OUTER, "sh", "-c", IN_ROOT, "sh", self.root, " ".join(f"{source}:{place}" for place, source in mounts.items()),
                   *([program] if program else self.config["Entrypoint"]), *arguments]
        env = dict(entry.split("=", 1) for entry in self.config["Env"]) | (env or {})
        return Process(log, [str(part) for part in command], env, signal.Signals[self.config["StopSignal"]])
