-- SPDX-License-Identifier: Apache-2.0
-- How many events of a share are parked, counted up to a bound, and whether any is to be handled
-- again.
select (select count(*)
          from (select
                  from dead_letter
                 where partition = $1 and source = $2 and status <> 'dropped'
                 limit 10000) as waiting),
       exists (select
                 from dead_letter
                where partition = $1 and source = $2 and status = 'redrive')
