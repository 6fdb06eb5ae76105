-- SPDX-License-Identifier: Apache-2.0
-- Ends what sessions the replicas have left that have gone, all but $1: a process that was stopped
-- keeps its locks for ever. Gone is who has not said in time that it lives, or has not for $2
-- milliseconds while the session that said it last is over. Tells who has gone.
select replica.id, count(pg_terminate_backend(session.pid))
  from replica
  left join pg_stat_activity as session
         on session.usename = current_user
        and strpos(session.application_name, split_part(replica.id, ' ', -1)) > 0
 where replica.id <> $1
   and (replica.expires_at < clock_timestamp()
        or (replica.kept_at + $2::bigint * interval '1 millisecond' < clock_timestamp()
            and not exists (select
                              from pg_stat_activity as keeper
                             where keeper.pid = replica.backend_pid
                               and keeper.backend_start = replica.backend_start)))
 group by replica.id;
