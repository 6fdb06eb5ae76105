# SPDX-License-Identifier: Apache-2.0
"""What processes have used, from /proc."""
import os
import pathlib

from servers import nats_pid, postgres_pid


def stat(pid):
    """Parent, own ticks, ticks of the children that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def cpu_us(ticks):
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def postgres_us(postmaster):
    """All backends together, those that have ended included."""
    _, ticks, ended = stat(postmaster)
    total = ticks + ended
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent, ticks, _ = stat(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == postmaster:
                total += ticks
    return cpu_us(total)


class Cpu:
    """What processes, given by name and pid, use from here on; with the servers of the run beside them."""

    def __init__(self, pids, servers=True):
        self.pids = pids
        self.servers = servers
        self.before = self.now()

    def now(self):
        used = {name: cpu_us(stat(pid)[1]) for name, pid in self.pids.items()}
        if self.servers:
            used["postgres"] = postgres_us(postgres_pid())
            used["nats-server"] = cpu_us(stat(nats_pid())[1])
        return used

    def us_per(self, n):
        now = self.now()
        return {name: round((now[name] - self.before[name]) / max(1, n), 1) for name in now}
