-- SPDX-License-Identifier: Apache-2.0
-- Positions of the last ten minutes are kept, and the newest one before them: to go back to if the
-- broker has lost its last seconds, also after a quiet time without any.
delete from relay_position
 where id < (select max(id)
               from relay_position
              where saved_at < now() - interval '10 minutes')
