-- SPDX-License-Identifier: Apache-2.0
-- Which of these keys have parked events, behind which one, and whether all of them are being
-- handled again.
select key,
       (array_agg(event_id order by id))[1]::text,
       bool_and(status = 'redrive')
  from dead_letter
 where partition = $1 and source = $2
   and key = any ($3)
   and status <> 'dropped'
 group by key
