"""What brokers on one log have applied, and whether that agrees: among them, and with the log.

A broker that is built with fault points writes a line for each record that it applies to the file
that SQMQOS_HISTORY names, before it applies it: `lsn chain kind` (store/shared/trial.h). The chain is
a digest of the record and all before it. Lives of a broker follow each other in its file."""

import struct

from checker import Violation, some

HEADER = struct.Struct("<HHIIIQQ")  # store/shared/record.h


def read(path):
    """[(lsn, chain)] in the order of the file, without a line that a kill has torn."""
    if not path.exists():
        return []
    out = []
    for line in path.read_text(errors="replace").split("\n")[:-1]:
        words = line.split()
        if len(words) == 3:
            out.append((int(words[0]), int(words[1], 16)))
    return out


def of_log(rows):
    """{lsn: chain} of rows (lsn, hex of the record's header)."""
    return {int(lsn): HEADER.unpack(bytes.fromhex(text))[5] for lsn, text in rows}


def from_database(server):
    """Reads the whole log of a server (postgres.Server)."""
    tables = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'sqmqos' AND "
                        "tablename ~ '^log_0_[0-9]+$'")
    rows = []
    for (table,) in tables:
        rows += server.sql(f"SELECT lsn, encode(substring(data FOR {HEADER.size}), 'hex') "
                           f"FROM sqmqos.{table}", timeout_s=120)
    return of_log(rows)


def check_one(name, lines):
    """A broker applies what comes next; after a start it may apply again what its tables lack."""
    known, last = {}, 0
    for lsn, what in lines:
        if known.setdefault(lsn, what) != what:
            yield Violation("history", name, f"record {lsn} was applied with other bytes")
        if lsn > last + 1 and last and lsn - 1 not in known:
            # a snapshot from the log may have brought it there
            yield Violation("gap", name, f"record {lsn} was applied behind {last}")
        last = lsn


def check(histories, log, snapshots=False):
    """histories: {broker's name: read()}. log: of_log(). snapshots: brokers may have begun with
    one, behind which they go on."""
    out, first_said = [], {}
    for name, lines in histories.items():
        out += [v for v in check_one(name, lines) if not (snapshots and v.kind == "gap")]
        for lsn, what in lines:
            other, said = first_said.setdefault(lsn, (name, what))
            if said != what:
                out.append(Violation("history", name, f"record {lsn} is not the one of {other}"))
    first = min(log, default=0)
    missing = [lsn for lsn in first_said if lsn not in log and lsn >= first]
    if missing:
        out.append(Violation("history", "log", f"{some(missing)} applied, and not there"))
    wrong = [lsn for lsn, (_, what) in first_said.items() if lsn in log and log[lsn] != what]
    if wrong:
        out.append(Violation("history", "log", f"{some(wrong)} with other bytes than were applied"))
    gaps = [lsn for lsn in log if lsn != first and lsn - 1 not in log]
    if gaps:
        out.append(Violation("gap", "log", f"nothing before {some(gaps)}"))
    return unique(out)


def unique(violations, most=20):
    """One of each text, and not all of a disaster."""
    return list({str(v): v for v in violations}.values())[:most]
