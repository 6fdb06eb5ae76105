-- SPDX-License-Identifier: Apache-2.0
-- Ends what sessions replica $1 has left that has gone, unless it has said since $2 that it lives: a
-- process that was stopped keeps its locks for ever. Tells how many there were.
select count(pg_terminate_backend(session.pid))
  from replica
  join pg_stat_activity as session
    on session.usename = current_user
   and strpos(session.application_name, split_part(replica.id, ' ', -1)) > 0
 where replica.id = $1
   and replica.kept_at = $2;
