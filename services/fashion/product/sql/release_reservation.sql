-- SPDX-License-Identifier: Apache-2.0
update reservations
   set state = 3, updated_at = now()
 where order_id = $1 and state = 1;
