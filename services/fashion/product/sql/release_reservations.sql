-- SPDX-License-Identifier: Apache-2.0
update reservations
   set state = 3, updated_at = now()
 where order_id = any($1::uuid[]) and state = 1;
