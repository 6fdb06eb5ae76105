-- SPDX-License-Identifier: Apache-2.0
delete from lease
 where name = $1 and holder = $2;
