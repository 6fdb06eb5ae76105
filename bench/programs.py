# SPDX-License-Identifier: Apache-2.0
"""The programs of bench/, and when what they began has come to its end."""
import json
import os
import pathlib
import subprocess
import sys
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[1]
RAW_MIGRATIONS = ("mesh/migrations", *(f"services/fashion/{s}/migrations"
                                       for s in ("order", "product", "payment", "customercenter")))


def make_raw_database():
    """For bench-ceiling and bench-handling: the tables of several services in one schema."""
    admin = os.environ["TEST_DATABASE_URL"]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database if exists raw")
        connection.execute("create database raw")
    url = admin.rsplit("/", 1)[0] + "/raw"
    files = [file for folder in RAW_MIGRATIONS for file in sorted((ROOT / folder).glob("*.sql"))]
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", url, *(a for f in files for a in ("-f", f))], check=True)
    return url


def command_of(name, *arguments):
    return [str(pathlib.Path(os.environ["CMESH_BUILD"]) / "bench" / name), *map(str, arguments)]


def program(name, *arguments, seconds):
    """Its JSON; what it says on standard error is shown. It is to last for so long and a little more."""
    print(name, *(a for a in arguments if ":" not in str(a)), file=sys.stderr)  # how far it is
    out = subprocess.run(command_of(name, *arguments), check=True, stdout=subprocess.PIPE, text=True,
                         timeout=seconds + 180).stdout
    return json.loads(out) if out else None


def has_drained(cluster):
    """Every order has come to the end of its way, and every event of it to the dashboard."""
    return cluster.query("""select not exists (select from fashion_order.orders where status in (1, 2, 3))
                               and (select count(*) from fashion_delivery.deliveries)
                                 = (select count(*) from fashion_customercenter.dashboard_deliveries)
                               and (select count(*) from fashion_delivery.deliveries)
                                <= (select count(*) from fashion_customercenter.dashboard_orders
                                     where customer_id is not null)
                               and (select count(*) from fashion_payment.payments)
                                 = (select count(*) from fashion_customercenter.dashboard_payments)""")[0][0]


def drain(cluster, patience=60, look=0.2):
    """Seconds that it took; None: it did not within the patience."""
    start = time.monotonic()
    while not has_drained(cluster):
        if time.monotonic() > start + patience:
            return None
        time.sleep(look)
    return round(time.monotonic() - start, 1)
