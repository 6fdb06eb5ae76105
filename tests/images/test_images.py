# SPDX-License-Identifier: Apache-2.0
"""What is in the images, and that it is the same each time."""
import hashlib
import io
import os
import re
import subprocess
import tarfile
import tomllib

import pytest

import debian
from conftest import ROOT, build
from image import USER

RECIPE = tomllib.loads((ROOT / "images/images.toml").read_text())
SERVICES = RECIPE["base"]["services"]
IMAGES = sorted([*SERVICES, *RECIPE["images"]])
PAPERS = "usr/share/doc", "var/lib/dpkg/status.d"


def elf_files(image):
    return [path for path in image.files() if debian.is_elf(path)]


def facts_of_elf(path, tag):
    return re.findall(rf"\({tag}\).*\[(.*)\]", debian.output_of("readelf", "-d", str(path)))


def test_every_service_of_the_store_has_an_image():
    assert SERVICES == sorted(f"fashion-{main.parent.name}" for main in (ROOT / "services/fashion").glob("*/main.c") if main.parent.name != "sample")


@pytest.mark.parametrize("name", ["fashion-order", "cmesh-client"])
def test_an_image_built_again_is_the_same_bits(all_images, name, folder):
    out = build(folder, name, TZ="Asia/Seoul", LC_ALL="C", PYTHONHASHSEED="7")
    for suffix in (".tar", ".spdx.json"):
        assert (out / name).with_suffix(suffix).read_bytes() == all_images[name].path.with_name(name + suffix).read_bytes()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_at_most_30_mb(all_images, name):
    assert all_images[name].path.stat().st_size <= 30_000_000


def test_all_images_stand_on_the_same_layer(all_images):
    assert list(all_images) == IMAGES
    assert len({image.manifest["layers"][0]["digest"] for image in all_images.values()}) == 1
    assert {len(image.layers) for image in all_images.values()} == {2}


def test_the_archive_says_what_the_layers_are(all_images):
    for image in all_images.values():
        assert image.about["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in image.layers]
        annotations = image.index["manifests"][0]["annotations"]
        assert annotations["io.containerd.image.name"] == f"cmesh.local/{image.name}:0.1.0"


def test_an_image_says_what_it_is_and_where_it_comes_from(all_images):
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    for image in all_images.values():
        label = {key.rpartition(".")[2]: value for key, value in image.config["Labels"].items()}
        assert label["title"] == image.name and label["version"] == "0.1.0" and label["licenses"]
        assert label["revision"] in (revision, revision + "-dirty")
        assert image.config["User"] == f"{USER}:{USER}"


def test_a_service_image_has_one_program_and_no_shell(all_images):
    for name in SERVICES:
        image = all_images[name]
        programs = [path for path in image.files() if os.access(path, os.X_OK) and ".so" not in path.name]
        assert programs == [image.root / f"usr/bin/{name}"]


def test_nothing_in_an_image_gives_rights_away(all_images):
    for image in all_images.values():
        folders = RECIPE["images"].get(image.name, {}).get("folders", [])
        for layer in image.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
                for member in tar:
                    assert member.uid == member.gid == (USER if "/" + member.name in folders else 0), member.name
                    assert member.issym() or member.name == "tmp" or not member.mode & 0o6022, member.name


def test_every_library_that_is_needed_is_in_the_image(all_images):
    for image in all_images.values():
        names = {path.name for path in image.root.rglob("*.so*")}
        for path in elf_files(image):
            missing = set(facts_of_elf(path, "NEEDED")) - names
            assert not missing, f"{path} of {image.name} needs {missing}"
            assert not facts_of_elf(path, "R(?:UN)?PATH"), path


def test_no_name_of_the_machine_gets_into_a_program(all_images):
    for name in SERVICES:
        assert os.fsencode(ROOT) not in (all_images[name].root / f"usr/bin/{name}").read_bytes()


def test_only_certificates_of_the_package_are_trusted(all_images):
    listed = [line for line in debian.output_of("dpkg-query", "-L", "ca-certificates").splitlines() if "/mozilla/" in line]
    bundle = (all_images["fashion-order"].root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count("BEGIN CERTIFICATE") == len(listed) > 100
    assert (all_images["fashion-order"].root / "usr/lib/ssl/cert.pem").is_symlink()


def test_the_sbom_names_the_package_of_every_file(all_images):
    for image in all_images.values():
        version_of = {part["name"]: part["versionInfo"] for part in image.sbom["packages"]}
        parts = RECIPE["images"].get(image.name, {})
        ours = {f"/usr/bin/{image.name}", *parts.get("copies", {}), *RECIPE["base"]["texts"], "/etc/ssl/certs/ca-certificates.crt"}
        theirs = {"/" + str(path.relative_to(image.root)) for path in image.files()
                  if not str(path.relative_to(image.root)).startswith(PAPERS)} - ours
        for package, _, version, *_ in debian.Packages(sorted(theirs)).facts():
            assert version_of.pop(package) == version
            assert (image.root / f"usr/share/doc/{package}/copyright").stat().st_size > 100, package
            assert f"Version: {version}\n" in (image.root / f"var/lib/dpkg/status.d/{package}").read_text()
        for module in [name for name in version_of if "/" in name or name == "stdlib"]:
            del version_of[module]
            assert any((image.root / f"usr/share/doc/{module}").iterdir()), module
        assert sorted(version_of) == sorted([image.name, "ca-certificates"])  # what is made of the last one is no file of it


def test_the_sbom_is_of_this_image(all_images):
    for image in all_images.values():
        described = image.sbom["packages"][0]
        assert image.index["manifests"][0]["digest"].endswith(described["checksums"][0]["checksumValue"])
        assert len(image.sbom["relationships"]) == len(image.sbom["packages"]) > 30


def test_the_client_names_the_modules_of_grpcurl(all_images):
    names = {part["name"] for part in all_images["cmesh-client"].sbom["packages"]}
    assert {"github.com/fullstorydev/grpcurl", "google.golang.org/grpc", "stdlib"} <= names


def test_a_changed_file_of_a_package_is_refused(monkeypatch):
    packages = debian.Packages(["/usr/bin/env"])
    packages.refuse_changed()
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: b"something else")
    with pytest.raises(SystemExit, match="/usr/bin/env is not as coreutils brought it"):
        packages.refuse_changed()


def test_a_file_of_no_package_is_refused(folder):
    with pytest.raises(SystemExit, match="of no Debian package"):
        debian.Packages([str(folder)])


def test_the_dockerfile_makes_the_same_images(all_images):
    text = (ROOT / "images/Dockerfile").read_text()
    found = dict(re.findall(r"^FROM base AS (\S+)\n((?:(?!FROM).*\n)*)", text, re.M))
    assert sorted(found) == IMAGES
    for name, lines in found.items():
        config = all_images[name].config
        quote = lambda words: "[" + ", ".join(f'"{word}"' for word in words) + "]"  # noqa: E731
        wanted = [f"COPY --from=build /src/build/images/folders/{name}/ /", f"ENTRYPOINT {quote(config['Entrypoint'])}"]
        wanted += [f"CMD {quote(config['Cmd'])}"] if config["Cmd"] else []
        wanted += [f"STOPSIGNAL {config['StopSignal']}"] if config["StopSignal"] != "SIGTERM" else []
        wanted += ["ENV " + " ".join(config["Env"][1:])] if config["Env"][1:] else []
        assert lines.splitlines() == wanted + [""] or lines.splitlines() == wanted, name
    assert f"USER {USER}:{USER}" in text
    assert f"image.version={config['Labels']['org.opencontainers.image.version']} " in text


def test_the_folders_for_the_dockerfile_are_the_layers(all_images, folder):
    out = build(folder, "--folders", "cmesh-nats") / "folders"
    for name, layer in zip(("base", "cmesh-nats"), all_images["cmesh-nats"].layers):
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            members = {member.name: member for member in tar}
        found = {str(path.relative_to(out / name)): path for path in (out / name).rglob("*")}
        assert {path for path in found if path in members or not found[path].is_dir()} == set(members)
        for path, member in members.items():
            assert member.issym() or found[path].lstat().st_mode & 0o7777 == member.mode, path
