-- SPDX-License-Identifier: Apache-2.0
-- A pass of the relay: what this snapshot sees and $1, which is published, does not. A bound on id
-- or on the oldest transaction would lose rows of transactions that commit late. The least id is
-- one of these very rows: it only keeps a planner without statistics from reading the whole table.
declare relay_pass no scroll cursor for
select id, event_id, subject, envelope, pg_current_snapshot()::text
  from outbox
 where (xid >= pg_snapshot_xmax($1::pg_snapshot)
        or xid = any (array (select pg_snapshot_xip($1::pg_snapshot))))
   and id >= (select min(id + 0)
                from (select id
                        from outbox
                       where xid >= pg_snapshot_xmax($1::pg_snapshot)
                       union all
                      select id
                        from outbox
                       where xid = any (array (select pg_snapshot_xip($1::pg_snapshot)))) as waiting)
 order by id
