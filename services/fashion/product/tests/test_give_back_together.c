/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of events that give stock back, beside each other and beside those who take it. */
#include "product_test.h"

#include <pthread.h>

struct batch {
    pthread_t thread;
    const char *ids[3];
    int n;
    enum mesh_status status; /* of the first try */
};

static void *reject_thread(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;
    struct batch *batch = arg;

    batch->status = mesh_tx_begin(ctx, service.db, &tx);
    for (int i = 0; i < batch->n && batch->status == MESH_OK; i++) {
        batch->status = reject_in(ctx, tx, batch->ids[i]);
    }
    if (batch->status == MESH_OK) {
        batch->status = mesh_tx_commit(ctx, &tx);
    }
    return NULL;
}

static const char *given_order(struct mesh_ctx *ctx, const char *code, int64_t quantity)
{
    const char *order_id = mesh_new_id(ctx);

    CHECK_INT(reserve(ctx, order_id, code, quantity), MESH_OK);
    return order_id;
}

TEST(what_a_batch_gives_back_is_one_change_of_each_article)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *ids[5];

    given_product(ctx, "8100", 100);
    given_product(ctx, "8101", 100);
    ids[0] = given_order(ctx, "8101", 1);
    ids[1] = given_order(ctx, "8100", 2);
    ids[2] = given_order(ctx, "8101", 3);
    ids[3] = ids[0]; /* told twice */
    ids[4] = mesh_new_id(ctx);
    CHECK_INT(reject_together(ids, 5), MESH_OK);
    CHECK_INT(stock_of("8100"), 100);
    CHECK_INT(version_of("8100"), 3);
    CHECK_INT(stock_of("8101"), 100);
    CHECK_INT(version_of("8101"), 4);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(state_of(ids[i]), RESERVATION_RELEASED);
    }
}

TEST(what_a_batch_tells_of_the_stock_is_as_if_each_came_back_alone)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    const char *ids[3];

    given_product(ctx, "8102", 10);
    given_product(ctx, "8103", 10);
    ids[0] = given_order(ctx, "8103", 1);
    ids[1] = given_order(ctx, "8102", 2);
    ids[2] = given_order(ctx, "8103", 4);
    service.stock_events = true;
    CHECK_INT(reject_together(ids, 3), MESH_OK);
    CHECK_INT(reject_together(ids, 3), MESH_OK);
    service.stock_events = false;
    for (int i = 0; i < 3; i++) {
        CHECK_INT(fixture_events("StockReleased", ids[i]), 1);
    }
}

TEST(while_a_batch_runs_it_holds_no_stock)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_ctx struct mesh_ctx *hurried = fixture_hurried_ctx(3000);
    cleanup_tx struct mesh_tx *tx = NULL;
    const char *one, *other;

    given_product(ctx, "8104", 10);
    one = given_order(ctx, "8104", 1);
    other = given_order(ctx, "8104", 1);
    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(reject_in(ctx, tx, one), MESH_OK);
    CHECK_INT(reject_in(ctx, tx, other), MESH_OK);
    CHECK_INT(reserve(hurried, mesh_new_id(ctx), "8104", 3), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(stock_of("8104"), 7);
}

TEST(batches_that_give_back_in_opposite_order_do_not_deadlock)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *stranger = NULL;
    struct batch one = {.n = 3}, other = {.n = 3};

    given_product(ctx, "8105", 10);
    given_product(ctx, "8106", 10);
    one.ids[0] = given_order(ctx, "8105", 1);
    one.ids[1] = given_order(ctx, "8106", 1);
    one.ids[2] = mesh_new_id(ctx);
    other.ids[0] = given_order(ctx, "8106", 1);
    other.ids[1] = given_order(ctx, "8105", 1);
    other.ids[2] = one.ids[2];
    stranger = hold_article(ctx, "8105");
    CHECK_INT(pthread_create(&one.thread, NULL, reject_thread, &one), 0);
    await_locks(1);
    CHECK_INT(pthread_create(&other.thread, NULL, reject_thread, &other), 0);
    await_locks(2);
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    pthread_join(one.thread, NULL);
    pthread_join(other.thread, NULL);
    CHECK_INT(one.status, MESH_OK);
    CHECK_INT(other.status, MESH_OK);
    CHECK_INT(stock_of("8105"), 10);
    CHECK_INT(stock_of("8106"), 10);
}

static void *reserve_thread(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct batch *batch = arg;

    batch->status = reserve(ctx, batch->ids[0], "8107", 1);
    return NULL;
}

/* Whoever comes first to the article: the batch holds no reservation that the other waits for. */
static void wait_for_the_article_beside_a_reservation(bool batch_first)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct batch batch = {.n = 2}, late = {.n = 1};
    struct batch *line[2] = {batch_first ? &batch : &late, batch_first ? &late : &batch};
    cleanup_tx struct mesh_tx *stranger = NULL;

    late.ids[0] = batch.ids[0] = mesh_new_id(ctx);
    batch.ids[1] = given_order(ctx, "8107", 1);
    stranger = hold_article(ctx, "8107");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(pthread_create(&line[i]->thread, NULL,
                                 line[i] == &batch ? reject_thread : reserve_thread, line[i]),
                  0);
        await_locks(i + 1);
    }
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    pthread_join(batch.thread, NULL);
    pthread_join(late.thread, NULL);
    CHECK_INT(batch.status, MESH_OK);
    CHECK(late.status == MESH_OK || late.status == MESH_FAILED_PRECONDITION);
    CHECK_INT(state_of(batch.ids[0]), RESERVATION_RELEASED);
    CHECK_INT(stock_of("8107"), 5);
}

TEST(a_rejection_and_the_reservation_it_is_for_do_not_deadlock)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();

    given_product(ctx, "8107", 5);
    wait_for_the_article_beside_a_reservation(true);
    wait_for_the_article_beside_a_reservation(false);
}

/* The batch waits for one article when an order of it takes another: too late to lock that. */
TEST(stock_taken_while_the_batch_comes_to_its_end_comes_back_with_the_next_try)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    struct batch batch = {.n = 2};
    cleanup_tx struct mesh_tx *stranger = NULL;

    given_product(ctx, "8108", 5);
    given_product(ctx, "8109", 5);
    batch.ids[0] = given_order(ctx, "8108", 1);
    batch.ids[1] = mesh_new_id(ctx);
    stranger = hold_article(ctx, "8108");
    CHECK_INT(pthread_create(&batch.thread, NULL, reject_thread, &batch), 0);
    await_locks(1);
    CHECK_INT(reserve(ctx, batch.ids[1], "8109", 2), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &stranger), MESH_OK);
    pthread_join(batch.thread, NULL);
    CHECK_INT(batch.status, MESH_ABORTED);
    CHECK_INT(stock_of("8108"), 4);
    CHECK_INT(reject_together(batch.ids, 2), MESH_OK);
    CHECK_INT(stock_of("8108"), 5);
    CHECK_INT(stock_of("8109"), 5);
}

TEST(an_event_without_an_order_id_is_refused_where_it_is_handled)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    cleanup_tx struct mesh_tx *tx = NULL;

    CHECK_INT(mesh_tx_begin(ctx, service.db, &tx), MESH_OK);
    CHECK_INT(reject_in(ctx, tx, "no id"), MESH_INVALID_ARGUMENT);
}

TEST_MAIN(setup, teardown)
