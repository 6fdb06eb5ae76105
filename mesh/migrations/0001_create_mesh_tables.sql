-- SPDX-License-Identifier: Apache-2.0
-- The runtime's own tables, one set in the schema of every service.

-- Facts to be published, written in the transaction that made them true. Cut into slices by time,
-- which are dropped as a whole. No index on id: a pass of the relay reads from a transaction id on,
-- and a planner that knows nothing of the table would walk such an index from its beginning.
create sequence outbox_id;
create table outbox (
    id          bigint not null default nextval('outbox_id'),
    xid         xid8 not null default pg_current_xact_id(),
    event_id    uuid not null,
    subject     text not null,
    key         text not null,
    envelope    bytea not null,
    created_at  timestamptz not null default now()
) partition by range (created_at);
create index outbox_xid_id on outbox (xid, id);
create table outbox_rest partition of outbox default; -- what no slice takes
create index outbox_rest_created_at on outbox_rest (created_at);

-- Events that were handled here: what makes a repeated delivery harmless. Cut by the time that is
-- in the ids (RFC 9562, version 7); ids of any other kind are in the rest.
create table inbox (
    event_id    uuid primary key,
    source      text not null,
    received_at timestamptz not null default now()
) partition by range (event_id);
create table inbox_rest partition of inbox default;
create index inbox_rest_received_at on inbox_rest (received_at);

-- The slices of both: a partition each.
create table slice (
    name      text primary key,
    parent    text not null,
    starts_at timestamptz not null,
    ends_at   timestamptz not null
);

-- The least UUID of version 7 of that time, as far as its first 48 bits tell.
create function uuid_floor(at timestamptz) returns uuid
    language sql immutable
    return (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- The time in an id, if it is of that version.
create function uuid_time(id uuid) returns timestamptz
    language sql immutable
    return to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);

-- What a table is cut by, and that time in terms of it.
create function slice_field(parent text) returns text
    language sql immutable
    return case parent when 'inbox' then 'event_id' else 'created_at' end;
create function slice_bound(parent text, at timestamptz) returns text
    language sql stable
    return case parent when 'inbox' then uuid_floor(at)::text else at::text end;

-- Where the next slice begins: where the last one ends, but not before that long from now. By the
-- clock, since a row that is on its way into the rest must not be of its time.
create function next_slice(parent text, ahead interval) returns timestamptz
    language sql
    return (select greatest(max(ends_at), clock_timestamp() + ahead)
              from slice
             where slice.parent = next_slice.parent);

-- Cuts one slice; what lies in the rest of that stretch of time moves into it.
create function cut_slice(parent text, starts_at timestamptz, ends_at timestamptz) returns void
    language plpgsql
as $$
declare
    name   text := format('%s_%s', parent, (extract(epoch from starts_at) * 1000)::bigint);
    field  text := slice_field(parent);
    first  text := slice_bound(parent, starts_at);
    beyond text := slice_bound(parent, ends_at);
begin
    execute format('create table %I (like %I including all)', name, parent);
    execute format('with moved as (delete from %I where %I >= %L and %I < %L returning *)'
                   ' insert into %I select * from moved',
                   parent || '_rest', field, first, field, beyond, name);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                   parent, name, first, beyond);
    insert into slice values (name, parent, starts_at, ends_at);
end $$;

-- To attach a slice, the server reads all of the rest while nobody can use it, unless a constraint
-- tells that nothing in it is of the slice's time. Where that would take long, such a promise is
-- made first, then checked while others write, then used. Until then it refuses what comes into the
-- rest and is of that time, which is a slice ahead. Its comment tells from when on no transaction of
-- ours that reads the rest may keep it from being withdrawn.
create function withdraw_promise(parent text) returns void
    language plpgsql set lock_timeout = '200ms' -- who waits for a lock holds up everybody behind it
as $$
declare
    rest   text := parent || '_rest';
    urgent timestamptz;
begin
    select obj_description(oid, 'pg_constraint')::timestamptz into urgent
      from pg_constraint
     where conrelid = rest::regclass and conname = 'promise';
    if not found then
        return;
    end if;
    if urgent is null or clock_timestamp() >= urgent then
        perform pg_terminate_backend(pid, 1000)
           from pg_stat_activity
          where usename = current_user
            and xact_start < clock_timestamp() - interval '1 s'
            and pid <> pg_backend_pid()
            and pid in (select pid from pg_locks where relation = rest::regclass and granted);
    end if;
    execute format('alter table %I drop constraint promise', rest);
end $$;

-- Returns from when on nothing is promised to be in the rest; null if there is no need to.
create function make_promise(parent text, length interval, until timestamptz) returns timestamptz
    language plpgsql set lock_timeout = '200ms'
as $$
declare
    rest      text := parent || '_rest';
    field     text := slice_field(parent);
    beyond    text := slice_bound(parent, until + 2 * length);
    starts_at timestamptz;
    last      text;
begin
    perform withdraw_promise(parent); -- of a run that did not come to its end
    if next_slice(parent, '0') >= until or pg_relation_size(rest::regclass) < 8 * 1024 * 1024 then
        return null;
    end if;
    execute format('lock table %I in access exclusive mode', rest);
    starts_at := next_slice(parent, length);
    -- An id may be of any time: the slices begin behind it.
    execute format('select %I::text from %I where %I >= %L and %I < %L order by %I desc limit 1',
                   field, rest, field, slice_bound(parent, starts_at), field, beyond, field)
       into last;
    if last is not null then
        starts_at := interval '1 ms'
                   + case parent when 'inbox' then uuid_time(last::uuid) else last::timestamptz end;
    end if;
    execute format('alter table %I add constraint promise check (%I < %L or %I >= %L) not valid',
                   rest, field, slice_bound(parent, starts_at), field, beyond);
    execute format('comment on constraint promise on %I is %L', rest, starts_at - length / 2);
    return starts_at;
end $$;

create function check_promise(parent text) returns void
    language plpgsql set lock_timeout = '200ms'
as $$
begin
    execute format('alter table %I validate constraint promise', parent || '_rest');
end $$;

-- Cuts what slices are missing until that time, each so long; returns how many.
create function cut_slices(parent text, length interval, until timestamptz,
                           promised timestamptz default null)
    returns int
    language plpgsql set lock_timeout = '200ms'
as $$
declare
    first     timestamptz;
    starts_at timestamptz;
    n         int := 0;
begin
    if promised is null and next_slice(parent, '0') >= until then
        return 0;
    end if;
    -- Else rows of that time could still come into the rest after the others were moved.
    execute format('lock table %I in access exclusive mode', parent || '_rest');
    if promised is not null
       and not exists (select from pg_constraint
                        where conrelid = (parent || '_rest')::regclass
                          and conname = 'promise' and convalidated) then
        raise lock_not_available using message = 'another run has withdrawn the promise';
    end if;
    first := coalesce(promised, next_slice(parent, least(length, interval '1 s')));
    starts_at := first;
    while starts_at < until loop
        perform cut_slice(parent, starts_at, starts_at + length);
        starts_at := starts_at + length;
        n := n + 1;
    end loop;
    perform withdraw_promise(parent);
    if n = 0 and promised is not null then -- an id of a time to come lies behind what is needed
        raise lock_not_available using message = 'what was promised begins too late';
    end if;
    if n > 0 and clock_timestamp() >= first then -- rows of that time wait to come into the rest
        raise lock_not_available using message = 'the slices were not cut in time';
    end if;
    return n;
end $$;

-- Drops the inbox's slices that end before that time; returns how many.
create function drop_inbox_slices(before timestamptz) returns int
    language plpgsql set lock_timeout = '200ms'
as $$
declare
    old slice;
    n   int := 0;
begin
    for old in select * from slice where parent = 'inbox' and ends_at < before order by ends_at loop
        execute format('drop table %I', old.name);
        delete from slice where name = old.name;
        n := n + 1;
    end loop;
    return n;
end $$;

-- Is everything in that slice of the outbox published? It is if the relay's position sees it. To be
-- older than all that was open then is not asked for: the position stays for as long as nothing more
-- is published, and some old transaction may be in it.
create function is_published(slice text) returns boolean
    language plpgsql
as $$
declare
    published pg_snapshot;
    all_of_it boolean;
begin
    select done into published from relay_position order by id desc limit 1;
    execute format('select not exists (select from %I where $1 is null or (xid >= pg_snapshot_xmin($1)'
                   ' and not pg_visible_in_snapshot(xid, $1)))', slice)
       into all_of_it using published;
    return all_of_it;
end $$;

-- Drops the outbox's slices that end before that time and are published; returns how many.
create function drop_outbox_slices(before timestamptz) returns int
    language plpgsql set lock_timeout = '200ms'
as $$
declare
    old slice;
    n   int := 0;
begin
    for old in select * from slice where parent = 'outbox' and ends_at < before order by ends_at loop
        exit when not is_published(old.name);
        -- And again when nobody writes into it any more: a transaction may have waited for long.
        execute format('lock table %I in access exclusive mode', old.name);
        exit when not is_published(old.name);
        execute format('drop table %I', old.name);
        delete from slice where name = old.name;
        n := n + 1;
    end loop;
    return n;
end $$;

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

-- The replicas of the service that live. Each keeps its own row; for as long as that changes it does.
create table replica (
    id            text primary key,
    backend_pid   int not null,      -- the session that
    backend_start timestamptz not null, -- kept it last
    kept_at       timestamptz not null,
    unable        text[] not null default '{}' -- to do the work of these groups of leases now
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
create index dead_letter_redrive on dead_letter (partition, source, id) where status = 'redrive';

-- For operators: what waits, key by key; the first of each key is the one that could not be handled.
create view parked as
select id, partition, source, key, row_number() over (partition by partition, source, key order by id) as nth,
       status, attempts, reason, event_id, subject, sequence, created_at
  from dead_letter
 where status <> 'dropped'
 order by source, key, id;

-- The owner of the share is kept from reading on until the end of the transaction: what is marked
-- in it and what arrives meanwhile stay in order.
create function hold_share(at_partition int, of_source text) returns void
    language sql
as $$
    select from cursor where partition = at_partition and source = of_source for update;
$$;

-- Marks what waits under a key to be handled again, in order; returns how many events that are.
create function redrive(at_partition int, of_source text, of_key text) returns bigint
    language plpgsql
as $$
declare
    n bigint;
begin
    perform hold_share(at_partition, of_source);
    update dead_letter
       set status = 'redrive'
     where partition = at_partition and source = of_source and key = of_key and status <> 'dropped';
    get diagnostics n = row_count;
    return n;
end $$;

-- The same for the key of that event.
create function redrive(letter bigint) returns bigint
    language sql
as $$
    select coalesce((select redrive(partition, source, key) from dead_letter where id = letter), 0);
$$;

-- Gives up one event for good; its row is kept. Those behind it wait for a redrive of their own.
-- False: it does not wait.
create function drop_letter(letter bigint) returns boolean
    language plpgsql
as $$
begin
    perform hold_share(partition, source) from dead_letter where id = letter;
    update dead_letter set status = 'dropped' where id = letter and status <> 'dropped';
    return found;
end $$;

-- What the relay has published: the newest row counts, those of the last 10 minutes are kept.
create table relay_position (
    id                bigint generated always as identity primary key,
    done              pg_snapshot not null, -- everything it sees is published
    server_id         text not null default '',
    stream_created    timestamptz,
    last_sequence     bigint not null default 0,
    last_event_id     text not null default '', -- as the broker has it
    rescue            bigint not null default 0, -- so often everything kept was published again
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
