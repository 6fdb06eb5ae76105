-- compatible_from: 0
	create table "t;" (a text default 'hé \');


