-- SPDX-License-Identifier: Apache-2.0
select number, name, checksum, compatible_from
  from migration
 where owner = $1
 order by number;
