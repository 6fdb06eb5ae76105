-- SPDX-License-Identifier: Apache-2.0
-- All replicas but $1: what each has said last, and whether the session that said it is over.
select id, kept_at,
       not exists (select
                     from pg_stat_activity as keeper
                    where keeper.pid = replica.backend_pid
                      and keeper.backend_start = replica.backend_start)
  from replica
 where id <> $1;
