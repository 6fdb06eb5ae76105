-- SPDX-License-Identifier: Apache-2.0
-- A repeat goes on with a RECEIVED order: the sweep leaves it alone for a while longer.
update orders
   set next_try_at = now() + $2::bigint * interval '1 millisecond'
 where order_id = $1 and status = 1;
