-- SPDX-License-Identifier: Apache-2.0
-- Compare and set: no row comes back when somebody else has moved the order.
update orders
   set status = $3,
       payment_id = coalesce($4, payment_id),
       reject_reason = $5,
       pay_before = case when $3 = 2 then now() + $6::bigint * interval '1 millisecond' else pay_before end,
       next_try_at = case when $3 = 2 then now() + least($6::bigint, $7::bigint) * interval '1 millisecond' end,
       tries = 0,
       version = version + 1,
       updated_at = now()
 where order_id = $1 and status = $2
returning version, payment_asked, pay_before, updated_at;
