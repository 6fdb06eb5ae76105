-- SPDX-License-Identifier: Apache-2.0
-- What waits to be published after row $2, counted up to a bound, and for how many milliseconds its oldest row.
select count(*),
       coalesce((extract(epoch from clock_timestamp() - min(created_at)) * 1000)::bigint, 0)
  from (select created_at
          from outbox
         where xid >= pg_snapshot_xmax($1::pg_snapshot)
           and id > $2
         union all
        select created_at
          from outbox
         where xid = any (array (select pg_snapshot_xip($1::pg_snapshot)))
           and id > $2
         limit 100000) as waiting
