# SPDX-License-Identifier: Apache-2.0
"""recipe.py [--folders] IMAGE...: makes the images that images.toml describes; images/build calls it."""
import datetime
import glob
import os
import pathlib
import subprocess
import sys
import tomllib

import debian
import oci
import sbom

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = pathlib.Path(os.environ["IMAGES_OUT"])
RECIPE = tomllib.loads((ROOT / "images/images.toml").read_text())
PLACES = {name: os.environ.get("IMAGES_" + name.upper(), "") for name in ("build", "grpcurl", "grpcurl_about", "postgres")}
PLACES["postgres_share"] = "/usr/share/postgresql/" + pathlib.Path(PLACES["postgres"]).parent.name
CREATED = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def installed(patterns):
    """The files that the patterns name; each must name one."""
    found = []
    for pattern in patterns:
        paths = [path for path in sorted(glob.glob(pattern.format(**PLACES))) if not os.path.isdir(path)]
        if not paths:
            raise SystemExit(f"images: there is no {pattern.format(**PLACES)}")
        found += paths
    return found


def add_packages(tar, files, programs, also=()):
    """Adds installed files, what they and the programs need, and the papers of all their packages."""
    wanted = {part for path in files for part in debian.with_targets(path)}
    needed = debian.libraries_of([path for path in wanted if not os.path.islink(path) and debian.is_elf(path)] + list(programs))
    wanted |= {part for path in needed for part in debian.with_targets(path)}
    packages = debian.Packages(sorted(wanted | set(also)))
    packages.refuse_changed()
    for path in wanted:
        tar.copy(path, path)
    for package in packages.all():
        name = package.split(":")[0]
        tar.copy(f"/usr/share/doc/{name}/copyright", os.path.realpath(f"/usr/share/doc/{name}/copyright"))
        # Where scanners look for packages of an image that has no package manager.
        tar.file(f"/var/lib/dpkg/status.d/{name}", debian.output_of("dpkg-query", "-s", package).encode())
    return packages.facts()


def add_ours(tar, parts):
    for path, text in parts.get("texts", {}).items():
        tar.file(path, text.lstrip("\n").encode())
    for path, target in parts.get("links", {}).items():
        tar.link(path, target.format(**PLACES))
    for path in parts.get("folders", ()):
        tar.folder(path, user=RECIPE["user"])


def program_of(service):
    system, name = service.split("-")
    return f"{PLACES['build']}/services/{system}/{name}/{service}"


def base_layer():
    parts = RECIPE["base"]
    tar = oci.Tar()
    add_ours(tar, parts)
    tar.folder("/tmp", 0o1777)
    tar.copy("/usr/share/doc/cmesh/LICENSE", ROOT / "LICENSE")
    certificates = installed(parts["certificates"])
    tar.file("/etc/ssl/certs/ca-certificates.crt", b"".join(pathlib.Path(path).read_bytes() for path in certificates))
    facts = add_packages(tar, installed(parts["files"]), map(program_of, parts["services"]), certificates)
    return tar, facts


def parts_of(name):
    if name in RECIPE["base"]["services"]:
        path = f"/usr/bin/{name}"
        return {"licenses": "Apache-2.0", "copies": {path: program_of(name)}, "entrypoint": [path], "cmd": ["serve"]}
    return RECIPE["images"][name]


def own_layer(parts, below):
    """What an image has above the base, the Debian packages and the Go modules of it."""
    tar = oci.Tar()
    copies = {path: str(ROOT / source.format(**PLACES)) for path, source in parts.get("copies", {}).items()}
    add_ours(tar, parts)
    facts = add_packages(tar, installed(parts.get("files", [])), filter(debian.is_elf, copies.values()))
    for path, source in copies.items():
        tar.copy(path, source)
    modules = []
    if "modules" in parts:  # a folder with the licences of the Go modules of a program, and a list of them
        about = pathlib.Path(parts["modules"].format(**PLACES))
        modules = [line.split() for line in (about / "modules").read_text().splitlines()]
        for path in sorted(about.glob("**/*")):
            if path.is_file() and path != about / "modules":
                tar.copy(f"/usr/share/doc/{path.relative_to(about)}", path)
    tar.without(below)
    return tar, facts, modules


def make(name, below, below_layer, below_facts):
    version, registry = os.environ["IMAGES_VERSION"], os.environ["IMAGES_REGISTRY"]
    parts = parts_of(name)
    tar, facts, modules = own_layer(parts, below)
    about = {"org.opencontainers.image." + key: value for key, value in {
        "title": name, "version": version, "revision": os.environ["IMAGES_REVISION"], "licenses": parts["licenses"],
        "source": os.environ.get("IMAGES_SOURCE", ""), "created": CREATED}.items() if value}
    config = {"User": f"{RECIPE['user']}:{RECIPE['user']}", "WorkingDir": "/", "Env": ["PATH=/usr/bin:/usr/sbin", *parts.get("env", [])],
              "Entrypoint": parts["entrypoint"], "Cmd": parts.get("cmd", []), "Labels": about,
              "StopSignal": parts.get("stop_signal", "SIGTERM")}
    layer = oci.Layer(tar)
    path = OUT / f"{name}.tar"
    digest = oci.archive(path, f"{registry}/{name}:{version}", debian.output_of("dpkg", "--print-architecture").strip(),
                         config, [below_layer, layer], CREATED, about)
    everything = sorted({tuple(fact) for fact in below_facts + facts})
    (OUT / f"{name}.spdx.json").write_text(
        sbom.document(name, version, digest, parts["licenses"], CREATED, everything, modules))
    size = len(below_layer.packed) + len(layer.packed)
    print(f"{name:24} {size / 1e6:6.1f} MB  {digest}", flush=True)


def main(names, folders):
    below, below_facts = base_layer()
    if folders:  # for images/Dockerfile
        os.umask(0o022)
        for name, tar in [("base", below)] + [(name, own_layer(parts_of(name), below)[0]) for name in names]:
            (OUT / "folders" / name).mkdir(parents=True)
            subprocess.run(["tar", "-xpf", "-", "-C", OUT / "folders" / name], input=tar.bytes(), check=True)
        return
    layer = oci.Layer(below)
    for name in names:
        make(name, below, layer, below_facts)


if __name__ == "__main__":
    main([name for name in sys.argv[1:] if name != "--folders"], "--folders" in sys.argv)
