# SPDX-License-Identifier: Apache-2.0
"""What the installed Debian packages say about files: which libraries they need, whose they are, whether they are unchanged."""
import hashlib
import os
import pathlib
import subprocess


def output_of(*command, ok=(0,)):
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, capture_output=True, text=True)
    if done.returncode not in ok:
        raise SystemExit(f"images: {command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def place(path):
    """The name of a file, or of a link, behind links of its folders: /lib/x is /usr/lib/x."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def with_targets(path):
    """The file and, if it is a link, what it leads to, step by step."""
    found = [place(path)]
    while os.path.islink(found[-1]):
        found.append(place(os.path.join(os.path.dirname(found[-1]), os.readlink(found[-1]))))
    return found


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries_of(paths):
    """The shared libraries that the programs and libraries need, and what those need."""
    found = set()
    for path in sorted(paths):
        for line in output_of("ldd", path, ok=(0, 1)).splitlines():  # 1: it needs none
            if "not found" in line:
                raise SystemExit(f"images: {path} needs{line}")
            names = [word for word in line.split() if word.startswith("/") and not word.endswith(":")]
            found.update(names[-1:])
    return found


class Packages:
    """The packages that own files."""

    def __init__(self, paths):
        self.names = {}  # of each path
        spelt = {}
        for path in paths:
            for name in (path, path.removeprefix("/usr")):  # a package may still spell /usr/lib/x as /lib/x
                spelt[name] = path
        if spelt:
            for line in output_of("dpkg-query", "-S", *sorted(spelt), ok=(0, 1)).splitlines():
                owners, _, name = line.partition(": ")
                if name in spelt and not owners.startswith("diversion "):
                    self.names[spelt[name]] = owners.split(", ")[0]
        strangers = sorted(set(paths) - set(self.names))
        if strangers:
            raise SystemExit(f"images: of no Debian package: {' '.join(strangers)}")

    def all(self):
        return sorted(set(self.names.values()))

    def refuse_changed(self):
        """A file that is not as its package brought it does not get into an image."""
        sums = {}
        for package in self.all():
            for line in output_of("dpkg-query", "--control-show", package, "md5sums").splitlines():
                sum_, _, name = line.partition("  ")
                sums["/usr/" + name.removeprefix("usr/")] = sum_
        for path in self.names:
            if path in sums and not os.path.islink(path):
                if hashlib.md5(pathlib.Path(path).read_bytes()).hexdigest() != sums[path]:
                    raise SystemExit(f"images: {path} is not as {self.names[path]} brought it")

    def facts(self):
        """Name, architecture, version, source package and its version, of each."""
        fields = ("Package", "Architecture", "Version", "source:Package", "source:Version")
        form = "\t".join(f"${{{field}}}" for field in fields) + "\n"
        lines = output_of("dpkg-query", "-W", "-f", form, *self.all()).splitlines() if self.names else []
        return [line.split("\t") for line in sorted(lines)]
