-- SPDX-License-Identifier: Apache-2.0
-- Snapshots of another database.
delete from relay_position
