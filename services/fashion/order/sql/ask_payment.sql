-- SPDX-License-Identifier: Apache-2.0
-- The total is fixed and payment may be asked from now on.
update orders
   set total_krw = $2, payment_asked = true
 where order_id = $1 and status = 1
returning version;
