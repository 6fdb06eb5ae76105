-- SPDX-License-Identifier: Apache-2.0
-- This replica ($1) lives, and cannot do the work of $2.
insert into replica (id, backend_pid, backend_start, kept_at, unable)
select $1, pid, backend_start, clock_timestamp(), $2
  from pg_stat_get_activity(pg_backend_pid())
on conflict (id) do update
   set backend_pid = excluded.backend_pid, backend_start = excluded.backend_start,
       kept_at = excluded.kept_at, unable = excluded.unable;
