-- SPDX-License-Identifier: Apache-2.0
-- compatible_from: 0
	create table "t;" (a text default 'hé \');


