-- SPDX-License-Identifier: Apache-2.0
-- How far a share has been read, on which event its readers have come to no good end, and whether
-- anything of it is parked.
select sequence, event_id, broker_time, stream_created, attempts, coalesce(attempt_event, ''),
       exists (select
                 from dead_letter
                where dead_letter.partition = cursor.partition
                  and dead_letter.source = cursor.source
                  and status <> 'dropped')
  from cursor
 where partition = $1 and source = $2
