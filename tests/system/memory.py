# SPDX-License-Identifier: Apache-2.0
"""The resident memory of a process, in kB, as the kernel has it."""
import pathlib
import re


def of(process, field):
    status = pathlib.Path(f"/proc/{process.popen.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1])


def now_kb(process):
    return of(process, "VmRSS")


def peak_kb(process):
    """The most since it was started, or since forget_peak()."""
    return of(process, "VmHWM")


def forget_peak(process):
    pathlib.Path(f"/proc/{process.popen.pid}/clear_refs").write_text("5")
