-- SPDX-License-Identifier: Apache-2.0
-- Unless it has said meanwhile that it lives.
delete from replica
 where id = $1
   and kept_at = $2
returning id;
