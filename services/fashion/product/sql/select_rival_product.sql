-- SPDX-License-Identifier: Apache-2.0
-- The product that kept an insert out: that of the same request if there is one.
select product_id, request_id = $1 as same_request, digest = $2 as same_body
  from products
 where request_id = $1 or (code = $3 and size = $4)
 order by same_request desc
 limit 1;
