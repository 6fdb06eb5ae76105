-- SPDX-License-Identifier: Apache-2.0
select digest, response
  from request_log
 where request_id = $1;
