-- SPDX-License-Identifier: Apache-2.0
-- Writes down which event is about to be handled and how often that has ended the process, unless
-- somebody else moved the cursor. With 0 and null: nothing is suspected. Locks the cursor, so that
-- nobody else handles, parks or marks anything of its share until the end of the transaction.
update cursor
   set attempts = $5, attempt_event = $6
 where partition = $1 and source = $2
   and sequence = $3 and stream_created is not distinct from $4
returning 1
