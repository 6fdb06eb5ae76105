-- SPDX-License-Identifier: Apache-2.0
-- Positions of the last ten minutes are kept: to go back to if the broker has lost its last seconds.
delete from relay_position
 where saved_at < now() - interval '10 minutes'
   and id < (select max(id) from relay_position)
