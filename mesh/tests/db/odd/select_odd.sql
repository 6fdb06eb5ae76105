-- SPDX-License-Identifier: Apache-2.0
-- Left out.
--
-- Left out too: "; [x] \ $1.

select "a" || E'\n\\' || 'what??/ ${x} @y@', $1::text[], 3 % 2; -- kept
  -- kept too, without an end of line