create table greetings (greeting_id uuid primary key, name text not null);
