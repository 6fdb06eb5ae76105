-- SPDX-License-Identifier: Apache-2.0
-- This replica ($1) lives, for $2 milliseconds, and cannot do the work of $3.
insert into replica (id, backend_pid, backend_start, kept_at, expires_at, unable)
select $1, pid, backend_start, clock_timestamp(), clock_timestamp() + $2::bigint * interval '1 millisecond', $3
  from pg_stat_get_activity(pg_backend_pid())
on conflict (id) do update
   set backend_pid = excluded.backend_pid, backend_start = excluded.backend_start,
       kept_at = excluded.kept_at, expires_at = excluded.expires_at,
       unable = excluded.unable;
