-- SPDX-License-Identifier: Apache-2.0
update request_log
   set response = $2
 where request_id = $1;
