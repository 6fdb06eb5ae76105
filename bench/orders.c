/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete orders through the real services, on our own client stubs.
 *
 *   bench-orders PRODUCT ORDER CLIENTS SECONDS ARTICLES
 *
 * PRODUCT and ORDER are host:port. Each client places one order after the other, always of the same
 * article: no two clients share one if there are as many ARTICLES. Prints one JSON object.
 */
#include "argument.h"
#include "fashion/order/v1/order.mesh.h"
#include "fashion/product/v1/product.mesh.h"
#include "mesh/id.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_CLIENTS 256
#define MAX_SAMPLES 2000000

static struct mesh_client *order_client;
static int articles;
static char run_id[MESH_UUID_SIZE];
static atomic_bool stop;
static atomic_long placed, pending, failed;
static int64_t *samples_us;
static atomic_long n_samples;

static int64_t now_us(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static const char *article_code(struct mesh_ctx *ctx, int number)
{
    return mesh_printf(ctx, "bench-%s-%d", run_id, number);
}

static void place_one(int article)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(10000);
    Order__PlaceOrderRequest request = ORDER__PLACE_ORDER_REQUEST__INIT;
    Order__PlaceOrderResponse *response;
    int64_t start = now_us();
    long sample;

    request.request_id = mesh_new_id(ctx);
    request.customer_id = "bench";
    request.product_code = article_code(ctx, article);
    request.size = "S";
    request.quantity = 1;
    if (order_place_order(ctx, order_client, &request, &response) != MESH_OK) {
        if (atomic_fetch_add(&failed, 1) == 0) {
            (void)fprintf(stderr, "first failure: %s\n", mesh_ctx_error(ctx));
        }
        return;
    }
    if (response->order->status == ORDER__ORDER_STATUS__ORDER_STATUS_PAYMENT_PENDING) {
        atomic_fetch_add(&pending, 1);
        return;
    }
    atomic_fetch_add(&placed, 1);
    sample = atomic_fetch_add(&n_samples, 1);
    if (sample < MAX_SAMPLES) {
        samples_us[sample] = now_us() - start;
    }
}

static void *client(void *arg)
{
    int number = *(const int *)arg;

    while (!atomic_load(&stop)) {
        place_one(number % articles);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static MESH_STATUS register_articles(struct mesh_ctx *ctx, struct mesh_client *product)
{
    for (int i = 0; i < articles; i++) {
        Product__RegisterProductRequest request = PRODUCT__REGISTER_PRODUCT_REQUEST__INIT;
        Product__RegisterProductResponse *response;

        request.request_id = mesh_new_id(ctx);
        request.code = article_code(ctx, i);
        request.name = "Bench";
        request.size = "S";
        request.unit_price_krw = 50000;
        request.stock = 1000000000;
        MESH_TRY(product_register_product(ctx, product, &request, &response));
    }
    return MESH_OK;
}

static double percentile_ms(long n, double share)
{
    return n == 0 ? 0 : (double)samples_us[(long)((double)(n - 1) * share)] / 1000;
}

static void report(double seconds)
{
    long n = atomic_load(&n_samples);

    n = n < MAX_SAMPLES ? n : MAX_SAMPLES;
    qsort(samples_us, (size_t)n, sizeof(samples_us[0]), by_size);
    (void)printf(
        "{\"orders_per_second\": %.0f, \"placed\": %ld, \"pending\": %ld, \"failed\": %ld, "
        "\"p50_ms\": %.2f, \"p95_ms\": %.2f, \"p99_ms\": %.2f}\n",
        (double)atomic_load(&placed) / seconds, atomic_load(&placed), atomic_load(&pending),
        atomic_load(&failed), percentile_ms(n, 0.50), percentile_ms(n, 0.95),
        percentile_ms(n, 0.99));
}

int main(int argc, char **argv)
{
    cleanup_ctx struct mesh_ctx *ctx = NULL;
    struct mesh_client *product;
    pthread_t threads[MAX_CLIENTS];
    int numbers[MAX_CLIENTS];
    int clients = argc == 6 ? argument_number(argv[3], MAX_CLIENTS) : 0;
    int seconds = argc == 6 ? argument_number(argv[4], 3600) : 0;
    int64_t start;

    articles = argc == 6 ? argument_number(argv[5], 100000) : 0;
    if (clients == 0 || seconds == 0 || articles == 0) {
        (void)fprintf(stderr, "usage: %s PRODUCT ORDER CLIENTS SECONDS ARTICLES\n", argv[0]);
        return 2;
    }
    mesh_uuid_v7(run_id);
    samples_us = calloc(MAX_SAMPLES, sizeof(samples_us[0]));
    product = mesh_client_new("product", argv[1], 5000);
    order_client = mesh_client_new("order", argv[2], 10000);
    ctx = mesh_ctx_background(60000);
    if (samples_us == NULL || register_articles(ctx, product) != MESH_OK) {
        (void)fprintf(stderr, "cannot register articles: %s\n", mesh_ctx_error(ctx));
        return 1;
    }
    start = now_us();
    for (int i = 0; i < clients; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, client, &numbers[i]) != 0) {
            return 1;
        }
    }
    (void)nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < clients; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    report((double)(now_us() - start) / 1e6);
    mesh_client_free(product);
    mesh_client_free(order_client);
    free(samples_us);
    return atomic_load(&placed) > 0 ? 0 : 1;
}
