/* SPDX-License-Identifier: Apache-2.0 */
#include "db/only_reads.h"
#include "test.h"

TEST(what_only_reads_is_seen_to_do_so)
{
    static const char *const reads[] = {
        "select 1",
        "  -- a comment; delete\n SELECT v from t where id = $12 order by id desc limit $2;",
        "select coalesce(max(v), 0), count (*), 'insert''into(x)' from t where v in (1, 2)",
        "with a as materialized (select id from t), b as (values (1)) select * from a, b",
        "select a.v, b.* /* update */ from t as a left join t as b using (id) where a.v > 2.5",
        "select v::numeric(10, 2), \"update\" from \"odd\".\"name\"",
        "select pg_current_snapshot()::text",
        "begin isolation level repeatable read read only",
        "declare c no scroll cursor for select id from t",
        "fetch 100 from c",
        "rollback",
    };

    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        if (!mesh__only_reads(reads[i])) {
            fail_msg("%s", reads[i]);
        }
    }
}

TEST(what_writes_or_may_do_so_is_not_taken_for_a_read)
{
    static const char *const writes[] = {
        "",
        "-- select",
        "insert into t values (1)",
        "update t set v = 1",
        "delete from t",
        "call p()",
        "commit",
        "with gone as (delete from t returning id) select id from gone",
        "WITH a as (UPDATE t set v = 1 returning *) select * from a",
        "select v into u from t",
        "select v from t where id = $1 for update",
        "select nextval('s')",
        "select my_own_function(1)",
        "select my_own_function -- a comment\n (1)",
        "select fashion.count(1)",
        "select fashion. count(1)",
        "select \"count\"(1)",
        "select \"nextval\" ('s')",
        "select e'\\' , nextval(', ')",
        "select $$ ' $$, nextval('s'), $$ ' $$",
        "select /* one /* two */ ' */, nextval(1), '",
        "select 'no end",
        "select /* no end",
        "selection",
    };

    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        if (mesh__only_reads(writes[i])) {
            fail_msg("%s", writes[i]);
        }
    }
}

TEST_MAIN(NULL, NULL)
