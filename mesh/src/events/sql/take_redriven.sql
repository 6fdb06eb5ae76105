-- SPDX-License-Identifier: Apache-2.0
-- A parked event has been handled, or is about to be in this transaction.
delete from dead_letter
 where id = $1
