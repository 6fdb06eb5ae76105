# SPDX-License-Identifier: Apache-2.0
"""Layers and archives as the OCI describes them, the same bits for the same content."""
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile

MEDIA = "application/vnd.oci.image."


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Tar:
    """A tar file in memory. What is in it is sorted and has no time, so that a layer changes with its content alone."""

    def __init__(self):
        self.entries = {}

    def _add(self, path, kind, mode, data=b"", link="", user=0):
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.mode, info.linkname, info.size = kind, mode, link, len(data)
        info.uid = info.gid = user
        self.entries[info.name] = (info, data)
        folder = os.path.dirname(info.name)
        if folder and folder not in self.entries:
            self.folder(folder)

    def folder(self, path, mode=0o755, user=0):
        self._add(path, tarfile.DIRTYPE, mode, user=user)

    def file(self, path, data, mode=0o644):
        self._add(path, tarfile.REGTYPE, mode, data)

    def link(self, path, target):
        self._add(path, tarfile.SYMTYPE, 0o777, link=target)

    def copy(self, path, source):
        """A file or link of this machine."""
        if os.path.islink(source):
            self.link(path, os.readlink(source))
            return
        with open(source, "rb") as file:
            self.file(path, file.read(), 0o755 if os.stat(source).st_mode & stat.S_IXUSR else 0o644)

    def without(self, below):
        """What the layer below has already."""
        for path in below.entries:
            self.entries.pop(path, None)

    def bytes(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self.entries):
                info, data = self.entries[path]
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()


class Layer:
    def __init__(self, tar):
        plain = tar.bytes()
        self.diff_id = digest(plain)
        self.packed = gzip.compress(plain, 6, mtime=0)


def archive(path, name, architecture, config, layers, created, annotations):
    """Writes an image archive that containerd, podman and docker read; returns the image's digest."""
    blobs = {}

    def blob(kind, data):
        blobs[digest(data)] = data
        return {"mediaType": MEDIA + kind, "digest": digest(data), "size": len(data)}

    def json_blob(kind, value):
        return blob(kind, json.dumps(value, sort_keys=True).encode())

    packed = [blob("layer.v1.tar+gzip", layer.packed) for layer in layers]
    about = json_blob("config.v1+json", {
        "architecture": architecture, "os": "linux", "created": created, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}})
    manifest = json_blob("manifest.v1+json", {
        "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": about, "layers": packed,
        "annotations": annotations})
    index = {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": [manifest | {
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}}]}
    file_of = {entry["digest"]: "blobs/" + entry["digest"].replace(":", "/") for entry in [about, manifest, *packed]}
    old = [{"Config": file_of[about["digest"]], "RepoTags": [name], "Layers": [file_of[entry["digest"]] for entry in packed]}]

    tar = Tar()
    for key, data in blobs.items():
        tar.file(file_of[key], data)
    tar.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    tar.file("index.json", json.dumps(index, sort_keys=True).encode())
    tar.file("manifest.json", json.dumps(old, sort_keys=True).encode())  # for a docker that does not know the others
    with open(path, "wb") as file:
        file.write(tar.bytes())
    return manifest["digest"]
