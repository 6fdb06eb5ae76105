-- SPDX-License-Identifier: Apache-2.0
-- The event $4 has failed again: it and what is behind it wait for the next try.
update dead_letter
   set status = 'parked',
       attempts = attempts + (id = $4)::int,
       reason = case when id = $4 then $5 else reason end
 where partition = $1 and source = $2 and key = $3
   and status = 'redrive'
