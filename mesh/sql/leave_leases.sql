-- SPDX-License-Identifier: Apache-2.0
-- A replica ends in order.
with given as (
    delete from lease where holder = $1
)
delete from replica
 where id = $1;
