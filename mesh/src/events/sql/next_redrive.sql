-- SPDX-License-Identifier: Apache-2.0
-- The first parked event of a share that is to be handled again.
select id, sequence, event_id, key, subject, envelope, attempts
  from dead_letter
 where partition = $1 and source = $2 and status = 'redrive'
 order by id
 limit 1
