-- SPDX-License-Identifier: Apache-2.0
-- What was published for certain when the broker last wrote through: it does so every two minutes.
-- Positions before a rescue are of another broker's data.
select done::text
  from relay_position
 where rescue = $1
   and saved_at <= (select saved_at from relay_position order by id desc limit 1) - interval '150 s'
 order by id desc
 limit 1
