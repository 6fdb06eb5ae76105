-- SPDX-License-Identifier: Apache-2.0
update deliveries
   set status = 2, version = version + 1, updated_at = now()
 where delivery_id = $1
returning version, updated_at;
