-- SPDX-License-Identifier: Apache-2.0
update payments
   set status = 3, version = version + 1, updated_at = now()
 where payment_id = $1;
