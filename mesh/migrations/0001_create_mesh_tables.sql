-- SPDX-License-Identifier: Apache-2.0
-- The runtime's own tables, one set in the schema of every service.
--
-- outbox and inbox are plain tables. Their keys (outbox.id, the version 7 event_id of the inbox) are
-- what partitions by range will be cut by: a later migration can attach each of them, as it is, as
-- the first partition.

-- Facts to be published, written in the transaction that made them true.
create table outbox (
    id          bigint generated always as identity primary key,
    xid         xid8 not null default pg_current_xact_id(),
    event_id    uuid not null,
    subject     text not null,
    key         text not null,
    envelope    bytea not null,
    created_at  timestamptz not null default now()
);
-- A pass of the relay reads from a transaction id on.
create index outbox_xid_id on outbox (xid, id);

-- Events that were handled here: what makes a repeated delivery harmless.
create table inbox (
    event_id    uuid primary key,
    source      text not null,
    received_at timestamptz not null default now()
);

-- How far each partition of each source has been read; moved in the transaction of the effects.
create table cursor (
    partition      int not null,
    source         text not null,
    sequence       bigint not null,
    event_id       text not null default '',
    broker_time    timestamptz,
    stream_created timestamptz,
    attempts       int not null default 0, -- unclean ends in a row on attempt_event
    attempt_event  text,
    primary key (partition, source)
) with (fillfactor = 50);

-- The replicas of the service that live, by this server's clock. Each keeps its own row.
create table replica (
    id            text primary key,
    backend_pid   int not null,      -- the session that
    backend_start timestamptz not null, -- kept it last
    kept_at       timestamptz not null,
    expires_at    timestamptz not null
) with (fillfactor = 50);

-- Who does what only one replica may do (a partition, the relay, a job), for as long as it lives.
create table lease (
    name   text primary key,
    holder text not null
);

-- Events that could not be handled, and the later ones of their keys, which wait behind them.
create table dead_letter (
    id         bigint generated always as identity primary key,
    partition  int not null,
    source     text not null,
    sequence   bigint not null,
    event_id   uuid not null,
    key        text not null,
    subject    text not null,
    envelope   bytea not null,
    status     text not null default 'parked' check (status in ('parked', 'redrive', 'dropped')),
    reason     text not null,
    attempts   int not null default 0,
    created_at timestamptz not null default now()
);
-- Is this key waiting? Asked for every event while anything waits.
create index dead_letter_waiting on dead_letter (partition, source, key, id) where status <> 'dropped';

-- What the relay has published: the newest row counts, those of the last 10 minutes are kept.
create table relay_position (
    id                bigint generated always as identity primary key,
    done              pg_snapshot not null, -- everything it sees is published
    server_id         text not null default '',
    stream_created    timestamptz,
    last_sequence     bigint not null default 0,
    last_event_id     text not null default '',
    system_identifier bigint not null,
    saved_at          timestamptz not null default now()
);

-- Answers to writes that have no business key of their own to be found by.
create table request_log (
    request_id uuid primary key,
    digest     bytea not null,
    response   bytea,
    created_at timestamptz not null default now()
);
