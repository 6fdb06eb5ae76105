-- SPDX-License-Identifier: Apache-2.0
-- A pass of the relay: what this snapshot sees and $1, which is published, does not. A bound on id
-- or on the oldest transaction would lose rows of transactions that commit late.
declare relay_pass no scroll cursor for
select id, event_id, subject, envelope, pg_current_snapshot()::text
  from outbox
 where xid >= pg_snapshot_xmax($1::pg_snapshot)
    or xid = any (array (select pg_snapshot_xip($1::pg_snapshot)))
 order by id
